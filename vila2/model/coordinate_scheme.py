"""Reads and sets a model's coordinate scheme, which is saved in its tokenizer's settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vila2.data.coordinates import CoordinateScheme
from vila2.data.parsing import parsing, read_json
from vila2.data.tokens import LOCATION_TOKENS, TokenSpec
from vila2.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

_KEY = "coordinates"  # in tokenizer_config.json


def scheme_of(processor: ProcessorMixin) -> CoordinateScheme:
    """How the model of this processor writes coordinates; by default as text.

    Args:
        processor: the model's processor.

    Raises:
        ModelError: the scheme needs tokens that the tokenizer does not have.
    """
    settings = processor.tokenizer.init_kwargs.get(_KEY)
    scheme = CoordinateScheme.from_json(settings) if settings else CoordinateScheme()
    if scheme.kind == "tokens":
        last = scheme.template.format(scheme.bins - 1)
        if last not in processor.tokenizer.get_vocab():
            raise ModelError(
                f"the tokenizer writes coordinates in tokens, but has no {last!r}",
                hint="load the tokenizer that was saved with the model",
            )
    return scheme


def scheme_in(folder: Path) -> CoordinateScheme | None:
    """How the model in a folder writes coordinates, read without loading it; None where its files do not say.

    Raises:
        DataError: its ``tokenizer_config.json`` is damaged.
    """
    file = folder / "tokenizer_config.json"
    if not file.is_file():
        return None
    hint = "fetch or train the model again"
    settings = read_json(file, hint=hint).get(_KEY)
    with parsing(file, hint=hint):
        return CoordinateScheme.from_json(settings) if settings else None


def set_coordinates(
    model: PreTrainedModel, processor: ProcessorMixin, scheme: CoordinateScheme | Literal["text", "tokens"]
) -> None:
    """Makes a model write coordinates in a scheme, in place, and adds the tokens that it lacks for it.

    Args:
        model: any image-text-to-text model.
        processor: the model's processor.
        scheme: "text" for three decimals, "tokens" for VILA²'s thousand location tokens with soft
            cross-entropy, or any other scheme.

    Raises:
        ModelError: tokens of the scheme conflict with the model's.
    """
    from vila2.model.special_tokens import add_token_groups

    if isinstance(scheme, str):
        scheme = CoordinateScheme(scheme)
    if scheme.kind == "tokens":
        loc = LOCATION_TOKENS
        spec = TokenSpec(loc.name, scheme.template, scheme.bins, loc.init, loc.loss, loc.sigma)
        add_token_groups(model, processor, (spec,))
    settings: dict[str, Any] = scheme.to_json()
    processor.tokenizer.init_kwargs[_KEY] = settings
