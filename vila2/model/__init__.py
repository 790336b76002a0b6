"""The model family: configuration, model, processor, assembling from pretrained parts; known to transformers on import."""

from vila2.model.registration import register_with_transformers

register_with_transformers()
