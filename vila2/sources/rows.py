"""Rows of JSON, JSONL and Parquet files, each with the place it came from; image files; keys."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from vila2.data.shards import Reject
from vila2.errors import DataError

Item = TypeVar("Item")


class Row(NamedTuple):
    """One row: where it stands, and its fields."""

    where: str
    fields: dict[str, Any]


def take(items: Iterable[Item], start: int, count: int | None) -> Iterator[Item]:
    """``count`` items from number ``start`` on; all that follow where ``count`` is None.

    Raises:
        DataError: a negative number.
    """
    if start < 0 or (count is not None and count < 0):
        raise DataError(f"start={start}, count={count}", mend="use numbers >= 0")
    return islice(items, start, None if count is None else start + count)


def read_rows(path: Path | str) -> Iterator[Row | Reject]:
    """The rows of a file: a JSON array, JSON lines (zipped as well), or Parquet; or of all such files in a folder, by name.

    Yields:
        Rows; a ``Reject`` for a line that is no JSON object.

    Raises:
        DataError: no such file, a file of another kind, or one that can not be read as a whole.
    """
    path = Path(path)
    if path.is_dir():
        for file in row_files(path):
            yield from read_rows(file)
        return
    if not path.is_file():
        raise DataError(f"{path}: no such file", mend="check the path")
    if path.suffix == ".parquet":
        yield from _parquet_rows(path)
    elif path.suffix == ".zip":
        yield from _zipped_rows(path)
    elif _starts_array(path):
        yield from _array_rows(path)
    else:
        with path.open("rb") as file:
            yield from _line_rows(file, str(path))


def row_files(path: Path | str) -> list[Path]:
    """The files of rows in a folder, by name; of a file, itself.

    img2dataset's ``*_stats.json`` are no rows.

    Raises:
        DataError: a folder without such a file.
    """
    path = Path(path)
    if not path.is_dir():
        return [path]
    files = sorted(
        file
        for file in path.iterdir()
        if file.name.endswith((".json", ".jsonl", ".ndjson", ".parquet", ".jsonl.zip"))
        and not file.name.endswith("_stats.json")
    )
    if not files:
        raise DataError(f"{path}: holds no .json, .jsonl or .parquet file", mend="check the path")
    return files


def _starts_array(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def _array_rows(path: Path) -> Iterator[Row | Reject]:
    try:
        rows = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: the JSON can not be read ({error})", mend="mend the file, or use JSONL"
        ) from error
    for number, fields in enumerate(rows):
        yield _row(f"{path}[{number}]", fields)


def _line_rows(lines: Iterable[bytes], path: str) -> Iterator[Row | Reject]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Reject(where, "", "bad-json", str(error))
        else:
            yield _row(where, fields)


def _zipped_rows(path: Path) -> Iterator[Row | Reject]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith((".jsonl", ".ndjson")):
                    with archive.open(name) as file:
                        yield from _line_rows(file, f"{path}/{name}")
    except (zipfile.BadZipFile, zlib.error, OSError) as error:
        raise DataError(f"{path}: can not be read ({error})", mend="fetch it again") from error


def _parquet_rows(path: Path) -> Iterator[Row | Reject]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1024):
            for fields in batch.to_pylist():
                yield Row(f"{path}[{number}]", fields)
                number += 1
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: can not be read after row {number} ({error})", mend="fetch it again"
        ) from error


def _row(where: str, fields: Any) -> Row | Reject:
    if isinstance(fields, dict):
        return Row(where, fields)
    return Reject(where, "", "bad-row", f"a {type(fields).__name__} instead of an object")


def read_image(root: Path, name: Any, *, where: str, key: str) -> bytes | Reject:
    """An image file's bytes.

    Args:
        root: the folder that ``name`` is relative to, unless it is absolute.
        name: as a row gives it.
        where, key: for the reject.

    Returns:
        The bytes; a ``Reject`` where there is no such file.
    """
    if not isinstance(name, str) or not name:
        return Reject(where, key, "bad-row", f"{name!r} instead of an image's file name")
    if name.startswith(("http://", "https://")):
        return Reject(where, key, "remote-image", f"{name}: fetch it first, for example with img2dataset")
    try:
        return (root / name).read_bytes()
    except (OSError, ValueError) as error:
        return Reject(where, key, "unreadable-file", str(error))


class Keys:
    """Gives rows keys of their own.

    Files of instructions repeat an id for other conversations about the same image. Such a row gets the id with
    "#2", "#3", ...; a row that repeats another one completely keeps its key, and is rejected as a duplicate.
    """

    def __init__(self) -> None:
        self._seen: dict[str, dict[bytes, int]] = {}

    def key(self, name: str, fields: Mapping[str, Any]) -> str:
        """The key for a row.

        Args:
            name: the id the row gives itself, or a file name.
            fields: all of the row.
        """
        content = json.dumps(fields, sort_keys=True, default=str).encode()
        seen = self._seen.setdefault(name, {})
        number = seen.setdefault(hashlib.blake2b(content, digest_size=8).digest(), len(seen) + 1)
        return name if number == 1 else f"{name}#{number}"


def without_suffix(name: str) -> str:
    """A file name as a key: "a/b.jpg" gives "a/b"."""
    folder, slash, file = name.replace("\\", "/").rpartition("/")
    stem, _, suffix = file.rpartition(".")
    return f"{folder}{slash}{stem}" if stem and suffix else name.replace("\\", "/")
