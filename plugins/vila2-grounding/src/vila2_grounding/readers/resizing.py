"""What img2dataset did to an image: its default letterboxes, and GRIT's boxes are those of the original."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from vila2.plugin import Box, is_number

#: What to do with images of another shape than their originals. "reject" them; "border": they were letterboxed
#: (``resize_mode=border``, the default), so move the boxes; "keep": the boxes are right as they are.
Resized = Literal["reject", "border", "keep"]
_TOLERANCE = 0.02  # of the aspect ratio: small images are rounded to whole pixels


def original_size(fields: Mapping[str, Any]) -> tuple[float, float] | None:
    """The size before img2dataset resized an image, where its metadata tells."""
    size: tuple[Any, Any] = fields.get("original_width"), fields.get("original_height")
    return size if all(is_number(side) and side > 0 for side in size) else None


def same_shape(size: tuple[float, float], original: tuple[float, float]) -> bool:
    """Whether an image has its original's aspect ratio, so that unit boxes still fit."""
    return abs(size[0] * original[1] / (size[1] * original[0]) - 1) <= _TOLERANCE


def letterboxed(original: tuple[float, float]) -> Callable[[Box], Box]:
    """Moves boxes from an original to the square that it was padded to, with the image in the middle."""
    side = max(original)
    scale = original[0] / side, original[1] / side
    shift = (1 - scale[0]) / 2, (1 - scale[1]) / 2

    def move(box: Box) -> Box:
        return tuple(value * scale[n % 2] + shift[n % 2] for n, value in enumerate(box))  # type: ignore[return-value]

    return move
