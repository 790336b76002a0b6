"""The lengths of a stage's samples, which packs are planned from, and the samples that can not be trained on."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vila2.data.atomic import write_bytes_atomic
from vila2.data.images import decode_image
from vila2.data.mixtures import Mixture
from vila2.data.sample import Sample
from vila2.errors import DataError, ModelError
from vila2.model.conversation import ConversationEncoder
from vila2.model.pieces import Style
from vila2.progress import Progress

_AT_A_TIME = 256


@dataclass(frozen=True, slots=True)
class Unfit:
    """A sample that can not be trained on.

    Attributes:
        number: among the samples that were measured.
        reason: names the sample.
        hint: what can be done about it.
    """

    number: int
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """Tokens (image tokens included) and images of every sample, [samples] each.

    Attributes:
        tokens, images: 0 tokens where a sample can not be trained on.
        cut: samples that are longer than they may be, so that their end is cut off.
        unfit: the samples that can not be trained on, in order.
    """

    tokens: np.ndarray
    images: np.ndarray
    cut: int = 0
    unfit: tuple[Unfit, ...] = ()


def measure_lengths(
    samples: Sequence[Sample] | Mixture,
    encoder: ConversationEncoder,
    style: Style,
    file: Path | None,
    progress: Progress,
    *,
    decode: Callable[[int], bool] | None = None,
    exact: bool = True,
) -> Lengths:
    """Measures all samples, without decoding their images; once, for a resumed stage reads the file.

    One that can not be trained on stops nothing: it stands in ``unfit`` with its reason.

    Args:
        samples: a stage's mixture.
        encoder: tells the length of a sample.
        style: of the conversations.
        file: ``.npz``, where the lengths are kept. It must lie in a folder that is this stage's own, with
            this mixture and these settings. None keeps nothing.
        progress: shows how far it is.
        exact: see :meth:`vila2.model.conversation.ConversationEncoder.measure`.
        decode: by number, whose images have to be decoded too, since nobody did so before.
    """
    if file and (kept := _kept(file)):
        return kept
    tokens, images = np.zeros(len(samples), np.int32), np.zeros(len(samples), np.int32)
    unfit: list[Unfit] = []
    cut = 0
    with progress.task("measure samples", len(samples)) as task:
        for number in range(len(samples)):
            try:
                sample = samples[number]
                images[number] = len(sample.images)
                measured = encoder.measure(sample, style, exact=exact)
                if decode and decode(number):
                    for place, data in enumerate(sample.images):
                        decode_image(data, where=f"{sample.key}[{place}]")
                tokens[number] = measured.tokens
                cut += measured.truncated > 0
            except (DataError, ModelError) as error:
                unfit.append(Unfit(number, error.what, error.hint))
            if (number + 1) % _AT_A_TIME == 0:
                task.advance(_AT_A_TIME)
        task.advance(len(samples) % _AT_A_TIME)
    found = Lengths(tokens, images, cut, tuple(unfit))
    if file:
        _keep(file, found)
    return found


def _keep(file: Path, lengths: Lengths) -> None:
    content = io.BytesIO()
    np.savez(
        content,
        tokens=lengths.tokens,
        images=lengths.images,
        cut=lengths.cut,
        numbers=np.array([one.number for one in lengths.unfit], np.int64),
        reasons=np.array([[one.reason, one.hint] for one in lengths.unfit], str).reshape(-1, 2),
    )
    write_bytes_atomic(file, content.getvalue())


def _kept(file: Path) -> Lengths | None:
    """What an earlier process measured; None where there is nothing, or less than is kept today."""
    try:
        with np.load(file) as kept:
            unfit = zip(kept["numbers"].tolist(), kept["reasons"].tolist(), strict=True)
            return Lengths(
                kept["tokens"],
                kept["images"],
                int(kept["cut"]),
                tuple(Unfit(number, *told) for number, told in unfit),
            )
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
