"""Whether a model can keep the segments of a row apart, by its configuration, and in which way it is told to."""

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
        kind: "segments", attention that computes each by itself; "mask", a mask over the whole row.
        problem: why this model cannot keep them apart; None where it can.
    """

    kind: Literal["segments", "mask"] = "mask"
    problem: str | None = None

    @classmethod
    def of(cls, model: PreTrainedModel, *, max_length: int) -> Isolation:
        """What a model's configuration says.

        Args:
            model: an image-text-to-text model.
            max_length: of one sample; a sliding window at least as long never slides.
        """
        return cls(problem=_problem(model, max_length))


def cannot_isolate(problem: str) -> TrainingError:
    """The error of a model for which samples in one row would not stay apart."""
    return TrainingError(
        f"samples cannot share a row of this model: {problem}",
        hint="leave out the stage's pack_length",
    )


def _problem(model: PreTrainedModel, max_length: int) -> str | None:
    text = model.config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    others = kinds - {"full_attention", "sliding_attention"}
    if others:
        return f"{text.model_type} has layers of {', '.join(sorted(others))}"
    window = getattr(text, "sliding_window", None)
    slides = "sliding_attention" in kinds or (window and getattr(text, "use_sliding_window", True))
    if slides and (window is None or window < max_length):
        return f"{text.model_type} looks back {window} tokens only, and a sample may have {max_length}"
    if hasattr(getattr(model, "model", None), "get_rope_index"):
        return f"{model.config.model_type} counts the rows and columns of images in its positions"
    if {"token_type_ids", "mm_token_type_ids"} & inspect.signature(model.forward).parameters.keys():
        return f"{model.config.model_type} reads images, or all before an answer, in both directions"
    return None
