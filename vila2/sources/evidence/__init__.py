"""Reads users' own annotations as samples with evidence; the content decides the form.

    a dataset folder, or WebDataset tars    samples as they are, with the evidence that they carry
    COCO JSON                               objects with boxes; one label of ``categories`` each
    Omni3D JSON, or rows with ``boxes``     objects with 2D and 3D boxes, and the camera
    rows with ``texts`` or ``lines``        written text with boxes or outlines, and ``fields`` of a document
    rows with ``question`` and ``answer``   exchanges, to be trained on as they are
    rows with ``evidence``                  output of :meth:`vila2.data.evidence.Evidence.to_meta`
    label files of PaddleOCR                lines of an image's name, a tab, and a JSON list of texts

Rows are JSON lines, a JSON array or Parquet. ``meta["image"]`` of a sample names its image file; samples of
one image share it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from vila2.data.evidence import Evidence
from vila2.data.rejects import Reject
from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset
from vila2.data.shortening import listed, shown
from vila2.errors import DataError
from vila2.sources.evidence.annotated_images import Images
from vila2.sources.evidence.coco import is_coco, read_coco
from vila2.sources.evidence.evidence_rows import FORMS, form_of, sample_of
from vila2.sources.evidence.foreign import (
    Foreign,
    foreign_document,
    foreign_folder,
    foreign_row,
    foreign_text,
)
from vila2.sources.evidence.paddle import is_paddle, paddle_rows
from vila2.sources.evidence.sound import unsound
from vila2.sources.rows import Row, check_inputs, read_rows

_ROW_SUFFIXES = (".json", ".jsonl", ".ndjson", ".parquet")


def open_evidence(path: Path | str, image_root: Path | str | None = None) -> Iterator[Sample | Reject]:
    """Reads a user's data as samples with evidence (:mod:`vila2.data.evidence`).

    Pixel coordinates become unit coordinates of the image; scales are never guessed. JSON lines, Parquet
    and dataset folders are streamed; a JSON document is read as a whole.

    Args:
        path: file, or folder of a dataset, of tars, or of files of rows, which are read by name.
        image_root: folder that names of images are relative to; by default the folder of the file, or its
            ``images`` folder if the image lies there.

    Returns:
        Samples, and a ``Reject`` for each row, object or text that cannot be used. A sample with evidence has
        one turn, which shows the image; a sample with exchanges has those.

    Raises:
        DataError: the path or ``image_root`` does not exist, the form is unknown, or a dataset is given with
            an ``image_root``.
    """
    path = Path(path)
    check_inputs(path, image_root)
    if _is_dataset(path):
        if image_root:
            hint = "leave image_root out"
            raise DataError(f"{path}: a dataset holds its images, so image_root has no effect", hint=hint)
        return _known(ShardDataset.open(path), path)
    if path.is_dir():
        return _open_folder(path, image_root)
    if not path.is_file():
        raise DataError(f"{path}: neither a file nor a folder", hint="check the path")
    return _open_file(path, image_root)


_HINT = (
    "known forms: a dataset folder, COCO JSON, Omni3D JSON, PaddleOCR's label files, or rows with "
    + "; ".join(f"{' and '.join(map(repr, fields))} ({name})" for name, fields in FORMS.items())
)


def _is_dataset(path: Path) -> bool:
    if path.suffix == ".tar":
        return True
    return path.is_dir() and any(
        next(path.glob(form), None) for form in ("dataset.json", "*.tar", "shards/*.tar")
    )


def _known(samples: Iterable[Sample], path: Path) -> Iterator[Sample | Reject]:
    """Yields samples, and a ``Reject`` for each one whose evidence has another form or cannot be true."""
    for sample in samples:
        try:
            evidence = Evidence.of(sample)
            what = unsound(evidence) if evidence else ""
        except DataError as error:
            what = error.what
        yield Reject(f"{path}: {sample.key}", sample.key, "bad-evidence", what) if what else sample


def _open_folder(path: Path, image_root: Path | str | None) -> Iterator[Sample | Reject]:
    """Reads the files of a folder by name; one of unknown form is a ``Reject`` if any form is known."""
    files = sorted(
        file
        for file in path.iterdir()
        if file.is_file() and (file.suffix in _ROW_SUFFIXES or (file.suffix == ".txt" and is_paddle(file)))
    )
    if not files:
        foreign = foreign_folder(path)
        if foreign is not None:
            raise DataError(f"{path}: {foreign.what}", hint=foreign.hint)
        raise DataError(f"{path}: neither a dataset nor a folder with .json, .jsonl or .parquet", hint=_HINT)
    opened: list[Iterator[Sample | Reject]] = []
    unknown: list[DataError] = []
    for file in files:
        try:
            opened.append(_open_file(file, image_root))
        except DataError as error:
            unknown.append(error)
            opened.append(iter([Reject(str(file), "", "unknown-form", error.what)]))
    if len(unknown) == len(files):
        raise unknown[0]
    return chain.from_iterable(opened)


def _open_file(path: Path, image_root: Path | str | None) -> Iterator[Sample | Reject]:
    images = Images(Path(image_root) if image_root else path.parent, beside=image_root is None)
    document = _document(path)
    if document is not None and form_of(document) is not None:
        return sample_of(Row(str(path), document), images)
    if document is not None:
        return _open_document(document, images, path)
    if is_paddle(path):
        return _samples(paddle_rows(path, image_root), images)
    foreign = foreign_text(path)
    if foreign is not None:
        raise DataError(f"{path}: {foreign.what}", hint=foreign.hint)
    rows = read_rows(path)
    head: list[Row | Reject] = []
    for row in rows:
        head.append(row)
        if isinstance(row, Row) or len(head) == _LOOKED_AT:
            break
    first = head[-1] if head else None
    if not isinstance(first, Row):
        wrong = next((item.detail for item in head if isinstance(item, Reject)), None)
        raise _unknown(path, f"no row but {wrong}" if wrong else "no rows", None)
    if form_of(first.fields) is None:
        raise _unknown(path, f"rows with the keys {listed(first.fields)}", foreign_row(first.fields))
    return _samples(chain(head, rows), images)


_LOOKED_AT = 1000  # lines, to find the first row


def _open_document(document: dict[str, Any], images: Images, path: Path) -> Iterator[Sample | Reject]:
    """Reads the samples of a JSON object.

    Raises:
        DataError: the form is unknown.
    """
    foreign = foreign_document(document)
    if foreign is not None:
        raise _unknown(path, f"an object with the keys {listed(document)}", foreign)
    if is_coco(document):
        return read_coco(document, images, where=str(path))
    if len({"images", "annotations", "categories"} & document.keys()) > 1:
        missing = next(name for name in ("images", "annotations") if not isinstance(document.get(name), list))
        raise DataError(
            f"{path}: COCO JSON, but {missing} is {shown(document.get(missing))}, not a list",
            hint="it needs images, annotations, categories",
        )
    rows = document.get("data")
    if isinstance(rows, list) and any(isinstance(row, dict) and form_of(row) for row in rows):
        return _samples(_listed_rows(rows, f"{path}: data"), images)
    raise _unknown(path, f"an object with the keys {listed(document)}", None)


def _unknown(path: Path, found: str, foreign: Foreign | None) -> DataError:
    if foreign is None:
        return DataError(f"{path}: {found}", hint=_HINT)
    return DataError(f"{path}: {foreign.what} ({found})", hint=foreign.hint)


def _listed_rows(rows: list[object], where: str) -> Iterator[Row | Reject]:
    for number, row in enumerate(rows):
        place = f"{where}[{number}]"
        wrong = Reject(place, "", "bad-row", f"{shown(row)} instead of an object")
        yield Row(place, row) if isinstance(row, dict) else wrong


def _samples(rows: Iterator[Row | Reject], images: Images) -> Iterator[Sample | Reject]:
    for row in rows:
        if isinstance(row, Reject):
            yield row
        else:
            yield from sample_of(row, images)


def _document(path: Path) -> dict[str, Any] | None:
    """Reads a JSON file that is one object; None for a file of rows."""
    if path.suffix != ".json":
        return None
    try:
        value = json.loads(path.read_bytes())  # LVIS is larger than `read_file` allows an image to be
    except (ValueError, RecursionError):
        return None  # JSON lines under another name, or damaged: the reader of rows says what is wrong
    return value if isinstance(value, dict) else None
