"""Kinds of models that no command can use, refused by name before any work."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedConfig

from vila2.errors import ModelError


def refuse_encoder_decoder(config: PreTrainedConfig, name: str | Path) -> None:
    """Refuses a model that reads in an encoder and answers in a decoder, as Florence-2 and Pix2Struct do.

    Conversations, captions after a prompt and trained answers are laid out in one row of tokens here, which such
    a model has not.

    Raises:
        ModelError: it is such a model.
    """
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"{name} is a {config.model_type!r} model, which reads the image and the question in an encoder and "
            "answers in a decoder; only models that go on in one row of tokens are captioned and trained",
            hint="take a model whose language model is a decoder alone, such as SmolVLM, LLaVA or Qwen-VL; "
            "docs/models.md has the families",
        )
