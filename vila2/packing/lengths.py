"""Measures the lengths of a stage's samples, from which packs are planned, and finds unfit samples."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vila2.data.atomic import remove_leftovers, write_bytes_atomic
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
    """A sample that cannot be trained on.

    Attributes:
        number: index among the measured samples.
        reason: message that names the sample.
        hint: advice for the user.
    """

    number: int
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """The measured lengths of samples.

    Attributes:
        tokens: length of each sample in tokens, image tokens included, [samples]; 0 if it cannot be trained
            on.
        images: number of images of each sample, [samples].
        cut: number of samples that are longer than allowed, so that their end is cut off.
        unfit: samples that cannot be trained on, in order.
    """

    tokens: NDArray[np.int32]
    images: NDArray[np.int32]
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
    """Measures all samples, without decoding their images. A resumed stage reads the file instead.

    A sample that cannot be trained on stops nothing. It is listed in ``unfit`` with the reason.

    Args:
        samples: mixture of a stage.
        encoder: encoder that measures the samples.
        style: style of the conversations.
        file: ``.npz`` file for the lengths, in a folder of this stage with this mixture and these settings;
            None for no file.
        progress: display of the progress.
        decode: function that tells, by index, whose images are to be decoded too, since nothing did so
            before.
        exact: see :meth:`vila2.model.conversation.ConversationEncoder.measure`.
    """
    if file and (kept := _kept(file)):
        remove_leftovers(file)  # each process of a stage writes it; one may have been killed after another
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
    """Reads what an earlier process measured; None if there is no such file, or an older format."""
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
