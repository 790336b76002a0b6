"""Source `evidence`: annotated images, so that the benchmarks of a recipe can ask about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vila2.data.rejects import Reject
from vila2.data.sample import Sample
from vila2.errors import DataError
from vila2.sources.evidence import open_evidence


def read(
    path: Path | str, *, image_root: Path | str | None = None, start: int = 0, count: int | None = None
) -> Iterator[Sample | Reject]:
    """Reads annotated images in all forms of :mod:`vila2.sources.evidence`, such as COCO JSON.

    Args:
        path: file, or folder of a dataset, of tars, or of files of rows.
        image_root: folder that names of images are relative to; by default the folder of the file, or its
            ``images`` folder if the image lies there.
        start: number of the first sample, from 0.
        count: most samples to read; all by default.

    Raises:
        DataError: the path or ``image_root`` does not exist, the form is unknown, or a number is negative.
    """
    if start < 0 or (count is not None and count < 0):
        raise DataError(f"start={start}, count={count}", hint="use numbers >= 0")
    number = 0
    for row in open_evidence(path, image_root):
        if isinstance(row, Reject):
            yield row
            continue
        if count is not None and number >= start + count:
            return
        if number >= start:
            yield row
        number += 1
