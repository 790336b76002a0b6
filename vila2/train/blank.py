"""A blank image for batches without one, so that all processes run the same parts of the model.

Gradients are summed over processes part by part, and under ZeRO-3 weights are gathered part by part: a
process that skips the vision tower because its batch is all text would leave the others waiting forever.
Instead it reads a blank image that the loss does not count. That adds exactly zero to loss and gradients.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from PIL import Image

from vila2.data.sample import ImagePart, Sample, TextPart, Turn
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import IGNORED, Encoded
from vila2.model.pieces import Style

_SIDE = 64  # pixels; every processor resizes it to its own size


def blank_sample(processor: Any, style: Style) -> Encoded:
    """One gray image, encoded as the model reads images, with no token that the loss counts."""
    file = io.BytesIO()
    Image.new("RGB", (_SIDE, _SIDE), (128, 128, 128)).save(file, "PNG")
    turns = (Turn("user", (ImagePart(0),)), Turn("assistant", (TextPart("."),)))
    encoder = ConversationEncoder(processor, max_length=2**31)
    encoded = encoder.encode(Sample(key="blank", images=(file.getvalue(),), turns=turns), style)
    return replace(encoded, labels=[IGNORED] * len(encoded.labels))


class WithBlankImage:
    """A collator that adds the blank sample to a batch that has no image, or no sample at all.

    Args:
        collate: collator of samples, or of packs.
        blank: result of :func:`blank_sample`.
        packed: whether the items are packs, one per batch.
    """

    def __init__(self, collate: Callable[[Any], dict[str, Any]], blank: Encoded, *, packed: bool = False):
        self.collate = collate
        self.blank = blank
        self.packed = packed

    def __call__(self, items: Sequence[Any]) -> dict[str, Any]:
        samples = [sample for pack in items for sample in pack] if self.packed else [*items]
        if any(sample.inputs for sample in samples):
            return self.collate(items)
        samples.append(self.blank)
        return self.collate([samples] if self.packed else samples)
