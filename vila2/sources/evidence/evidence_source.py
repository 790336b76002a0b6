"""Annotated images as a source of samples, so that a recipe's benchmarks can ask about what is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources.evidence import open_evidence


def read(
    path: Path | str, *, image_root: Path | str | None = None, start: int = 0, count: int | None = None
) -> Iterator[Sample | Reject]:
    """Reads whatever :func:`vila2.sources.evidence.open_evidence` does.

    Args:
        path: a file or folder.
        image_root: the folder that images' names are relative to; by default the file's own.
        start, count: a slice of the samples.

    Raises:
        DataError: nothing there, in no form that is known, or a negative number.
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
