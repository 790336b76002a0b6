"""Kinds of models that no command supports. They are refused before any work."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedConfig

from vila2.errors import ModelError


def refuse_encoder_decoder(config: PreTrainedConfig, name: str | Path) -> None:
    """Refuses a model that reads in an encoder and answers in a decoder, as Florence-2 and Pix2Struct do.

    Here prompt and answer stand in one sequence of tokens, which such a model does not have.

    Args:
        config: configuration of the model.
        name: name of the model for the error message.

    Raises:
        ModelError: an encoder-decoder model.
    """
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"{name} is a {config.model_type!r} model, which reads the image and the question in an encoder"
            " and answers in a decoder; captioning and training need a decoder-only language model",
            hint="use a model with a decoder-only language model, such as SmolVLM, LLaVA or Qwen-VL; "
            "docs/models.md lists the families",
        )
