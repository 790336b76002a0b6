"""Rows of JSON, JSONL, CSV and Parquet files, each with the place it came from; image files; keys."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from vila2.data.shards import Reject
from vila2.data.shortening import shown
from vila2.errors import DataError
from vila2.sources.conversations import is_turn
from vila2.sources.image_values import image_bytes, image_name
from vila2.sources.row_reading import file_rows

Item = TypeVar("Item")

_LONGEST_NAME = 500  # that can be a key


class Row(NamedTuple):
    """One row: where it stands, and its fields."""

    where: str
    fields: dict[str, Any]


def take(items: Iterable[Item], start: int, count: int | None) -> Iterator[Item]:
    """``count`` items from number ``start`` on; all that follow where ``count`` is None.

    Raises:
        DataError: a negative number.
    """
    if any(not isinstance(number, int) or number < 0 for number in (start, 0 if count is None else count)):
        raise DataError(f"start={start}, count={count}", hint="use whole numbers >= 0")
    return islice(items, start, None if count is None else start + count)


def read_rows(path: Path | str) -> Iterator[Row | Reject]:
    """The rows of a file, or of all such files in a folder, by name.

    A file is recognized by its content (:mod:`vila2.sources.file_kinds`): a JSON array or document
    (:mod:`vila2.sources.json_documents`), JSON lines, CSV and TSV with a line of names, all of them plain or compressed;
    Parquet; a zip of JSON lines.

    Yields:
        Rows; a ``Reject`` for what is no JSON object.

    Raises:
        DataError: no such file, a file of another kind, or one that can not be read as a whole.
    """
    path = Path(path)
    if path.is_dir():
        for file in row_files(path):
            yield from read_rows(file)
        return
    if not path.is_file():
        raise DataError(f"{path}: no such file", hint="check the path")
    for item in file_rows(path):
        yield item if isinstance(item, Reject) else _row(*item)


def row_files(path: Path | str) -> list[Path]:
    """The files of rows in a folder, by name; of a file, itself.

    img2dataset's ``*_stats.json`` are no rows.

    Raises:
        DataError: a folder without such a file.
    """
    path = Path(path)
    if not path.is_dir():
        return [path]
    names = sorted(file for file in path.iterdir() if not file.is_dir() and _may_hold_rows(file.name))
    # Tables often lie beside rows, as lists of the same files; alone they are the rows.
    files = [file for file in names if not _TABLES.search(file.name)] or names
    if not files:
        raise DataError(f"{path}: holds no .json, .jsonl, .csv or .parquet file", hint="check the path")
    return files


_COMPRESSION = r"(\.(gz|bz2|xz|zst|zstd|lz4))?$"
_ROWS = re.compile(rf"\.(json|jsonl|ndjson|csv|tsv){_COMPRESSION}|\.parquet$|\.jsonl\.zip$")
_TABLES = re.compile(rf"\.(csv|tsv){_COMPRESSION}")
#: What img2dataset, ``vila2 recaption`` and ``save_to_disk`` write beside rows.
_NO_ROWS = re.compile(
    r"_stats\.json$|\.meta\.json$|\.rejected\.jsonl$|^(dataset_infos?|dataset_dict|state)\.json$"
)


def _may_hold_rows(name: str) -> bool:
    return bool(_ROWS.search(name)) and not name.startswith(".") and not _NO_ROWS.search(name)


def _row(where: str, fields: Any) -> Row | Reject:
    if isinstance(fields, dict):
        return Row(where, fields)
    if isinstance(fields, list) and fields and all(map(is_turn, fields)):
        return Row(where, {"conversations": fields})
    return Reject(where, "", "bad-row", f"a {type(fields).__name__} instead of an object: {shown(fields)}")


def read_image(root: Path, name: Any, *, where: str, key: str) -> bytes | Reject:
    """An image's bytes, in any of the forms of :mod:`vila2.sources.image_values`.

    Args:
        root: the folder that a file's name is relative to, unless it is absolute.
        name: as a row gives it.
        where, key: for the reject.

    Returns:
        The bytes; a ``Reject`` where there is no such file.
    """
    return image_bytes(root, name, where=where, key=key)


def read_images(root: Path, values: Iterable[Any], *, where: str, key: str) -> tuple[bytes, ...] | Reject:
    """All images of a row; the first ``Reject`` where one of them can not be read."""
    images = []
    for value in values:
        data = read_image(root, value, where=where, key=key)
        if isinstance(data, Reject):
            return data
        images.append(data)
    return tuple(images)


def image_folder(path: Path, image_root: Path | str | None) -> Path:
    """The folder that images' names are relative to: ``image_root``, or where the file of rows lies.

    Raises:
        DataError: there is no such folder.
    """
    if not image_root:
        return path if path.is_dir() else path.parent
    if not Path(image_root).is_dir():
        hint = "give the folder that images' names are relative to"
        raise DataError(f"image_root: {image_root} is no folder", hint=hint)
    return Path(image_root)


def other_fields(fields: Mapping[str, Any], used: Container[str]) -> dict[str, Any]:
    """What a row says beside its images and texts, for the meta."""
    return {name: value for name, value in fields.items() if name not in used}


def row_name(row: Row, images: Sequence[object] = ()) -> str:
    """What a row calls itself: its ``id``, else its first image's name, else file and line."""
    own = row.fields.get("id")
    if isinstance(own, str | int | float) and own != "" and len(str(own)) <= _LONGEST_NAME:
        return str(own)
    name = image_name(images[0]) if images else ""
    return without_suffix(name) if 0 < len(name) <= _LONGEST_NAME else Path(row.where).name


class Keys:
    """Gives rows keys of their own.

    Files of instructions repeat an id for other conversations about the same image. Such a row gets the id with
    "#2", "#3", ...; a row that repeats another one completely keeps its key, and is rejected as a duplicate.
    """

    def __init__(self) -> None:
        self._seen: dict[str, dict[bytes, str]] = {}
        self._made: set[str] = set()

    def key(self, name: str, fields: Mapping[str, Any]) -> str:
        """The key for a row.

        Args:
            name: the id the row gives itself, or a file name.
            fields: all of the row.
        """
        seen = self._seen.setdefault(name, {})
        content = _digest(fields)
        if content not in seen:
            number = len(seen) + 1
            key = name if number == 1 else f"{name}#{number}"
            while key in self._made or (key != name and key in self._seen):  # a row is really called "x#2"
                number += 1
                key = f"{name}#{number}"
            if key != name:
                self._made.add(key)
            seen[content] = key
        return seen[content]


def _digest(fields: Mapping[str, Any]) -> bytes:
    try:
        content = json.dumps(fields, sort_keys=True, default=_plain).encode()
    except (TypeError, ValueError, RecursionError):  # names of several types, or far too deep
        content = shown(fields).encode(errors="replace")
    return hashlib.blake2b(content, digest_size=8).digest()


def _plain(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return hashlib.blake2b(value, digest_size=8).hexdigest()
    return str(value)


def without_suffix(name: str) -> str:
    """A file name as a key: "a/b.jpg" gives "a/b"."""
    folder, slash, file = name.replace("\\", "/").rpartition("/")
    stem, _, suffix = file.rpartition(".")
    return f"{folder}{slash}{stem}" if stem and suffix else name.replace("\\", "/")
