"""The lengths of a stage's samples, which packs are planned from."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vila2.data.atomic import write_bytes_atomic
from vila2.data.sample import Sample
from vila2.model.conversation import ConversationEncoder
from vila2.model.pieces import Style

_AT_A_TIME = 256


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """Tokens (image tokens included) and images of every sample, [samples] each."""

    tokens: np.ndarray
    images: np.ndarray


def measure_lengths(
    samples: Sequence[Sample], encoder: ConversationEncoder, style: Style, file: Path | None, progress: Any
) -> Lengths:
    """Measures all samples, without decoding their images; once, for a resumed stage reads the file.

    Args:
        samples: a stage's mixture.
        encoder: tells the length of a sample.
        style: of the conversations.
        file: ``.npz``, where the lengths are kept. It must lie in a folder that is this stage's own, with
            this mixture and these settings. None keeps nothing.
        progress: shows how far it is.
    """
    if file and file.exists():
        with np.load(file) as kept:
            return Lengths(kept["tokens"], kept["images"])
    tokens, images = np.empty(len(samples), np.int32), np.empty(len(samples), np.int32)
    with progress.task("measure samples", len(samples)) as task:
        for number in range(len(samples)):
            sample = samples[number]
            tokens[number] = encoder.length(sample, style)
            images[number] = len(sample.images)
            if (number + 1) % _AT_A_TIME == 0:
                task.advance(_AT_A_TIME)
        task.advance(len(samples) % _AT_A_TIME)
    if file:
        content = io.BytesIO()
        np.savez(content, tokens=tokens, images=images)
        write_bytes_atomic(file, content.getvalue())
    return Lengths(tokens, images)
