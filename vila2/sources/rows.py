"""What sources of rows share: the rows of files, checks of paths, images, and keys."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from vila2.data.rejects import Reject
from vila2.data.remote import remote_url
from vila2.data.shortening import shown
from vila2.errors import DataError
from vila2.sources.chat_turns import is_turn
from vila2.sources.image_values import image_bytes, image_name
from vila2.sources.row_reading import file_rows

Item = TypeVar("Item")

#: Characters of the longest name that can be a key.
LONGEST_NAME = 500


class Row(NamedTuple):
    """One row of a file.

    Attributes:
        where: file and line of the row.
        fields: values by column or key.
    """

    where: str
    fields: dict[str, Any]


def take(items: Iterable[Item], start: int, count: int | None) -> Iterator[Item]:
    """Yields a slice of items.

    Args:
        items: items to slice.
        start: number of the first item, from 0.
        count: most items to yield; None for all that follow.

    Raises:
        DataError: a number is negative or not whole.
    """
    if any(not isinstance(number, int) or number < 0 for number in (start, 0 if count is None else count)):
        raise DataError(f"start={start}, count={count}", hint="use whole numbers >= 0")
    return islice(items, start, None if count is None else start + count)


def read_rows(path: Path | str) -> Iterator[Row | Reject]:
    """Reads the rows of a file, or of all files of rows in a folder, in the order of their names.

    The content decides the format (:mod:`vila2.sources.file_kinds`): a JSON array or document
    (:mod:`vila2.sources.json_documents`), JSON lines, or CSV and TSV with a line of names, plain or
    compressed; Parquet; a zip of JSON lines.

    Yields:
        A ``Row`` for each JSON object, a ``Reject`` for anything else.

    Raises:
        DataError: the file does not exist, has another format, or cannot be read to its end.
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
    """Lists the files of rows in a folder by name; a file lists itself.

    Files that img2dataset, ``vila2 recaption`` and ``save_to_disk`` write beside rows are left out.

    Raises:
        DataError: the folder holds no such file.
    """
    path = Path(path)
    if not path.is_dir():
        return [path]
    names = sorted(file for file in path.iterdir() if not file.is_dir() and _may_hold_rows(file.name))
    # A table beside other rows usually lists the same files again. On its own it holds the rows.
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


def check_inputs(
    path: Path | None, image_root: Path | str | None = None, *, root_may_be_tar: bool = False
) -> None:
    """Checks that the inputs of a source exist.

    Args:
        path: file or folder that the source reads; None if it has been checked.
        image_root: folder of the images, if one is given.
        root_may_be_tar: whether ``image_root`` may be a file.

    Raises:
        DataError: names everything that is missing, the path first.
    """
    missing: dict[str, str] = {}
    if path is not None and not path.exists():
        missing[f"{path}: no such file or folder"] = "check the path"
    if image_root and remote_url(image_root) is None:
        root = Path(image_root)
        if root_may_be_tar and not (root.is_dir() or root.is_file()):
            missing[f"image_root: {root}: no such file or folder"] = "give a folder or a tar of the images"
        elif not root_may_be_tar and not root.is_dir():
            missing[f"image_root: {root} is not a folder"] = (
                "give the folder that the names of images are relative to"
            )
    if missing:
        raise DataError("; ".join(missing), hint="; ".join(missing.values()))


def image_folder(path: Path, image_root: Path | str | None) -> Path:
    """Finds the folder that the names of images are relative to.

    Returns:
        ``image_root`` if it is given, else the folder of the file of rows.
    """
    if image_root:
        return Path(image_root)
    return path if path.is_dir() else path.parent


def read_image(root: Path, name: object, *, where: str, key: str, known: str = "") -> bytes | Reject:
    """Reads an image in any form of :mod:`vila2.sources.image_values`.

    Args:
        root: folder that a file name is relative to, unless it is absolute.
        name: file name of the image, or its content in another form, as a row gives it.
        where: place of the row, for the reject.
        key: key of the row, for the reject.
        known: sha256 of the image, if the row knows it; a file elsewhere with this content may be read.

    Returns:
        The encoded image, or a ``Reject`` if there is none.
    """
    return image_bytes(root, name, where=where, key=key, known=known)


def read_images(root: Path, values: Iterable[object], *, where: str, key: str) -> tuple[bytes, ...] | Reject:
    """Reads all images of a row.

    Returns:
        The encoded images, or the first ``Reject``.
    """
    images = []
    for value in values:
        data = read_image(root, value, where=where, key=key)
        if isinstance(data, Reject):
            return data
        images.append(data)
    return tuple(images)


def other_fields(fields: Mapping[str, Any], used: Container[str]) -> dict[str, Any]:
    """Selects the fields of a row that go to the meta: all but its images and texts."""
    return {name: value for name, value in fields.items() if name not in used}


def row_name(row: Row, images: Sequence[object] = ()) -> str:
    """Names a row by its ``id``, else by its first image, else by file and line."""
    own = own_id(row.fields)
    if own is not None:
        return own
    name = image_name(images[0]) if images else ""
    return without_suffix(name) if 0 < len(name) <= LONGEST_NAME else Path(row.where).name


def own_id(fields: Mapping[str, Any]) -> str | None:
    """Reads the ``id`` of a row as text; None if it has none that can be a key."""
    own = fields.get("id")
    usable = isinstance(own, str | int | float) and own != "" and len(str(own)) <= LONGEST_NAME
    return str(own) if usable else None


class Keys:
    """Gives every row a key of its own.

    Files of instructions repeat an id for other conversations about the same image. Such a row gets the id
    with "#2", "#3", ... A row that repeats another one completely keeps its key, so that it is rejected as
    a duplicate.
    """

    def __init__(self) -> None:
        self._seen: dict[str, dict[bytes, str]] = {}
        self._made: set[str] = set()

    def key(self, name: str, fields: Mapping[str, Any]) -> str:
        """Returns the key of a row.

        Args:
            name: id of the row, or a file name.
            fields: all fields of the row.
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
    """Makes a key of a file name: "a/b.jpg" becomes "a/b"."""
    folder, slash, file = name.replace("\\", "/").rpartition("/")
    stem, _, suffix = file.rpartition(".")
    return f"{folder}{slash}{stem}" if stem and suffix else name.replace("\\", "/")
