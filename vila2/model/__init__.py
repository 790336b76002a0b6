"""The model family: configuration, model, processor, assembly from pretrained parts.

Importing it registers the family with transformers.
"""

from vila2.model.registration import register_with_transformers

register_with_transformers()
