"""Images that img2dataset resized.

Its default mode adds a border, but GRIT's boxes are those of the original image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from vila2.plugin import Box, is_number

#: Treatment of images whose shape differs from the original's. "reject" drops them. "border" moves the boxes:
#: the images have a border (``resize_mode=border``, the default). "keep" leaves the boxes as they are.
Resized = Literal["reject", "border", "keep"]
_TOLERANCE = 0.02  # of the aspect ratio: small sides are rounded to whole pixels


def original_size(fields: Mapping[str, Any]) -> tuple[float, float] | None:
    """The size of an image before img2dataset resized it, or None where the metadata does not say."""
    size: tuple[Any, Any] = fields.get("original_width"), fields.get("original_height")
    return size if all(is_number(side) and side > 0 for side in size) else None


def same_shape(size: tuple[float, float], original: tuple[float, float]) -> bool:
    """Whether an image has its original's aspect ratio, so that unit boxes still fit."""
    return abs(size[0] * original[1] / (size[1] * original[0]) - 1) <= _TOLERANCE


def letterboxed(original: tuple[float, float]) -> Callable[[Box], Box]:
    """A function that moves boxes of an original image to its letterboxed copy.

    The copy is a square with the image in the middle.
    """
    side = max(original)
    scale = original[0] / side, original[1] / side
    shift = (1 - scale[0]) / 2, (1 - scale[1]) / 2

    def move(box: Box) -> Box:
        return tuple(value * scale[n % 2] + shift[n % 2] for n, value in enumerate(box))  # type: ignore[return-value]

    return move
