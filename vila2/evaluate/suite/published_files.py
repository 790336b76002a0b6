"""Files of a benchmark's folder, found by name at any depth, and the rows and images in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vila2.data.files import read_file
from vila2.data.parsing import parsing
from vila2.data.rejects import Reject
from vila2.errors import DataError, one_line
from vila2.sources.image_values import image_bytes, image_values
from vila2.sources.row_reading import file_rows

_FETCH = "fetch the file again"


def find_file(folder: Path, *patterns: str) -> Path | None:
    """Finds the first file of a pattern, at any depth, by name; the patterns are tried in order."""
    return next((found for pattern in patterns for found in sorted(folder.rglob(pattern))), None)


def needed_file(folder: Path, *patterns: str) -> Path:
    """Finds a file that belongs to others that are there.

    Raises:
        DataError: it is missing.
    """
    found = find_file(folder, *patterns)
    if found is None:
        raise DataError(f"{folder}: there is no {patterns[0]}", hint="it belongs to the files that are there")
    return found


def json_of(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        DataError: it cannot be read.
    """
    with parsing(path, hint=_FETCH):
        return json.loads(path.read_bytes())


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Reads the objects of a file of JSON lines."""
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if line.strip():
            with parsing(f"{path}:{number}", hint=_FETCH):
                yield json.loads(line)


def rows_of(paths: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Reads the rows of tables, each with its place.

    Raises:
        DataError: a row cannot be read.
    """
    for path in paths:
        for row in file_rows(path):
            if isinstance(row, Reject):
                raise DataError(f"{row.where}: {row.detail or row.reason}", hint=_FETCH)
            if isinstance(row.fields, Mapping):
                yield row.where, dict(row.fields)


def parquet_of(folder: Path, *patterns: str) -> list[Path]:
    """Finds the Parquet files of a split, by the first pattern that any has."""
    for pattern in patterns:
        if found := sorted(folder.rglob(f"{pattern}.parquet")):
            return found
    return []


def image_of_row(value: object, where: str, item: str) -> bytes | Reject:
    """Reads an image that stands in a row: bytes, or base64."""
    return image_bytes(Path(), value, where=where, key=item)


def images_of_row(value: object, where: str, item: str) -> tuple[bytes, ...] | Reject:
    """Reads all images of a field."""
    found = [image_of_row(one, where, item) for one in image_values(value)]
    wrong = next((one for one in found if isinstance(one, Reject)), None)
    return wrong or tuple(one for one in found if isinstance(one, bytes))


class ImageFolder:
    """The image files of a folder, by name; of several with one name, the first by path.

    Args:
        folders: folders to search, at any depth.
    """

    def __init__(self, *folders: Path) -> None:
        self._files: dict[str, Path] = {}
        for folder in folders:
            for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
                self._files.setdefault(path.name, path)

    def read(self, name: str, item: str) -> bytes | Reject:
        """Reads an image by the name of its file, without folders.

        Args:
            name: name of the file; folders in front of it do not count.
            item: question that needs it, for the reject.
        """
        path = self._files.get(Path(name).name)
        if path is None:
            return Reject(name, item, "missing-image", f"there is no {name}")
        try:
            return read_file(path)
        except DataError as error:
            return Reject(str(path), item, "unreadable-file", one_line(error))
