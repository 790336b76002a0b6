"""Checks that a tokenizer and its image token fit a model: every token needs an embedding row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig, PreTrainedModel, ProcessorMixin

from vila2.errors import ModelError
from vila2.model.embeddings import input_embeddings

# Families that replace the image token before they look it up.
_LOOKED_UP_OTHERWISE = ("paligemma", "gemma3", "gemma3n", "gemma4")


def check_vocabulary(model: PreTrainedModel, processor: ProcessorMixin, name: str | Path) -> None:
    """Checks that every token of the tokenizer has a row in the model's embeddings.

    Args:
        model: model with embeddings.
        processor: the model's processor.
        name: name of the model for the error message.

    Raises:
        ModelError: tokens without a row.
    """
    rows = _rows(model)
    ids = dict(processor.tokenizer.get_vocab())
    if model.config.model_type.startswith(_LOOKED_UP_OTHERWISE):
        ids = {token: number for token, number in ids.items() if number != image_token_of(model.config)}
    beyond = sorted((number, token) for token, number in ids.items() if number >= rows)
    if beyond:
        number, token = beyond[0]
        raise ModelError(
            f"{name}: the tokenizer has {len(beyond)} token{'s' * (len(beyond) > 1)} beyond the {rows:,} rows"
            f" of the model's embeddings (the first is {token!r}, number {number:,})",
            hint="use the tokenizer saved with these weights,"
            " or resize the embeddings (resize_token_embeddings) and save",
        )


def check_image_token(config: PreTrainedConfig, processor: ProcessorMixin, name: str | Path) -> None:
    """Checks that model and processor use the same token for an image.

    Args:
        config: configuration of the model.
        processor: the model's processor.
        name: name of the model for the error message.

    Raises:
        ModelError: they use different tokens, or the tokenizer does not have the token.
    """
    expected = image_token_of(config)
    tokenizer = getattr(processor, "tokenizer", None)
    if expected is None or tokenizer is None:
        return
    written = _image_tokens(processor)
    if expected in written:
        return
    token = getattr(processor, "image_token", None)
    if isinstance(token, str) and token not in tokenizer.get_vocab():
        raise ModelError(
            f"{name}: the processor marks an image with {token!r}, which its tokenizer does not know",
            hint="use tokenizer and processor of one checkpoint",
        )
    if written:
        ours = " or ".join(f"{text!r} ({number})" for number, text in sorted(written.items()))
        raise ModelError(
            f"{name}: config.json says image_token_id {expected}, and the processor writes {ours}",
            hint="use config.json, tokenizer and processor of one checkpoint",
        )


def image_token_of(config: PreTrainedConfig) -> int | None:
    """The id of the token that is an image's placeholder; None if the family has none."""
    for name in ("image_token_id", "image_token_index"):
        found = getattr(config, name, None)
        if isinstance(found, int):
            return found
    return None


def _image_tokens(processor: ProcessorMixin) -> dict[int, str]:
    """The tokens, by id, that a processor may write for an image.

    Some families have several: one in the template and another for each patch, or one before all patches.
    """
    tokenizer: Any = processor.tokenizer
    marks = {name: value for name, value in vars(processor).items() if "image" in name or "img" in name}
    marks["image_token_id of tokenizer"] = getattr(tokenizer, "image_token_id", None)
    marks["image_token of tokenizer"] = getattr(tokenizer, "image_token", None)
    vocabulary = tokenizer.get_vocab()
    found: dict[int, str] = {}
    for name, value in marks.items():
        if "token" in name and isinstance(value, str) and value in vocabulary:
            found[vocabulary[value]] = value
        elif "token_id" in name and isinstance(value, int):
            found[value] = str(tokenizer.convert_ids_to_tokens(value))
    return found


def _rows(model: PreTrainedModel) -> int:
    """The number of tokens that a model has embeddings for."""
    embedding = input_embeddings(model)
    rows = int(getattr(embedding, "num_embeddings", embedding.weight.shape[0]))
    return rows + int(getattr(embedding, "num_additional_embeddings", 0))
