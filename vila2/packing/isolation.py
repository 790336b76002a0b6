"""Tells from a model's configuration whether it can keep the segments of a row apart, and how."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Literal

from transformers import PreTrainedModel

from vila2.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Isolation:
    """How segments are kept apart.

    Attributes:
        kind: "segments" for attention that computes each by itself, "mask" for a mask over the whole row.
        problem: reason why this model cannot keep them apart; None if it can.
    """

    kind: Literal["segments", "mask"] = "mask"
    problem: str | None = None

    @classmethod
    def of(cls, model: PreTrainedModel, *, max_length: int) -> Isolation:
        """Reads a model's configuration.

        Args:
            model: image-text-to-text model.
            max_length: largest number of tokens of one sample; a sliding window of this length never slides.
        """
        return cls(problem=_problem(model, max_length))


def cannot_isolate(problem: str) -> TrainingError:
    """The error for a model that cannot keep samples in one row apart."""
    return TrainingError(
        f"samples cannot share a row of this model: {problem}",
        hint="remove the stage's pack_length",
    )


def _problem(model: PreTrainedModel, max_length: int) -> str | None:
    """The reason why a model cannot keep segments apart; None if nothing in its configuration prevents it."""
    text = model.config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    others = kinds - {"full_attention", "sliding_attention"}
    if others:
        return f"{text.model_type} has layers of {', '.join(sorted(others))}"
    window = getattr(text, "sliding_window", None)
    slides = "sliding_attention" in kinds or (window and getattr(text, "use_sliding_window", True))
    if slides and (window is None or window < max_length):
        return f"{text.model_type} looks back only {window} tokens, and a sample may have {max_length}"
    if hasattr(getattr(model, "model", None), "get_rope_index"):
        return f"{model.config.model_type} counts the rows and columns of images in its positions"
    if {"token_type_ids", "mm_token_type_ids"} & inspect.signature(model.forward).parameters.keys():
        return f"{model.config.model_type} reads images, or everything before an answer, in both directions"
    return None
