"""Readers: GRIT in any of its forms, VOC, and everything that :func:`vila2.open_evidence` knows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from vila2.plugin import (
    DataError,
    Reject,
    Row,
    Sample,
    check_image_root,
    open_evidence,
    open_source,
    read_rows,
    row_files,
)

from vila2_grounding.grounded import Grounded
from vila2_grounding.readers.grit import read_grit_rows, read_grit_sample, scattered_images
from vila2_grounding.readers.resizing import Resized
from vila2_grounding.readers.spans import is_grit
from vila2_grounding.readers.things import read_things
from vila2_grounding.readers.voc import is_voc, read_voc

ALL = "all"
_ROWS = (".parquet", ".jsonl", ".ndjson", ".json")


def pieces(path: Path) -> list[str]:
    """The names of a data set's files that can be read one by one, or ``["all"]``.

    Raises:
        DataError: The path does not exist.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder", hint="check the path")
    files = _files(path)
    return [file.name for file in files] if len(files) > 1 else [ALL]


def read(
    path: Path, piece: str, *, images: Path | None = None, resized: Resized = "reject", seed: int = 0
) -> Iterator[Grounded | Reject]:
    """The grounded captions of one piece.

    Raises:
        DataError: The data has no known form.
    """
    files = _files(path)
    check_image_root(images)
    if images and any(file.suffix == ".tar" for file in files):
        raise DataError(
            f"{path}: image_root has no use for tars, which hold their images", hint="leave it out"
        )
    if piece != ALL:
        yield from _read_file(path / piece, images, resized, seed, prefix=f"{Path(piece).stem}/")
    elif files:
        yield from _read_file(files[0], images, resized, seed)
    else:
        found = read_voc(path, images) if is_voc(path) else open_evidence(path, images)
        yield from _read_samples(found, resized, seed, path)


def scattered(path: Path, piece: str) -> frozenset[str]:
    """The images of a piece whose captions do not follow each other; only files of rows have such."""
    files = [path / piece] if piece != ALL else _files(path)
    if not files or files[0].suffix == ".tar":
        return frozenset()
    return scattered_images(files[0], "" if piece == ALL else f"{Path(piece).stem}/")


def _files(path: Path) -> list[Path]:
    """The tars or the files of GRIT's rows in a data set. Data that is read as a whole has none."""
    if path.is_file():
        return [path] if path.suffix == ".tar" or _holds_grit(path) else []
    if is_voc(path) or (path / "dataset.json").is_file():
        return []
    tars = sorted(path.glob("*.tar"))
    if tars or (path / "shards").is_dir():
        return tars
    rows = [file for file in row_files(path) if file.suffix in _ROWS]
    return rows if any(map(_holds_grit, rows)) else []


def _holds_grit(path: Path) -> bool:
    """Whether a file's first row has GRIT's annotations."""
    if path.suffix not in _ROWS:
        return False
    try:
        row = next((row for row in islice(read_rows(path), 100) if isinstance(row, Row)), None)
    except DataError:
        return False  # a JSON object, such as COCO's, or a broken file: its reader reports the fault
    return row is not None and is_grit(row.fields)


def _read_file(
    file: Path, images: Path | None, resized: Resized, seed: int, prefix: str = ""
) -> Iterator[Grounded | Reject]:
    if file.suffix == ".tar":  # img2dataset's keys begin with the number of the tar
        yield from _read_samples(
            open_source("img2dataset", path=file, require_text=False), resized, seed, file
        )
    else:
        yield from read_grit_rows(file, images, resized, prefix)


def _read_samples(
    samples: Iterator[Sample | Reject], resized: Resized, seed: int, file: Path
) -> Iterator[Grounded | Reject]:
    for sample in samples:
        if isinstance(sample, Reject):
            yield sample
        elif is_grit(sample.meta):
            yield from read_grit_sample(sample, resized, f"{file}: {sample.key}")
        else:
            yield from read_things(sample, seed)
