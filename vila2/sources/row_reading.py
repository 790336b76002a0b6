"""Reads rows of one file of JSON, JSON lines, CSV or Parquet, plain or compressed, each with its place."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, AnyStr

from vila2.data.rejects import Reject
from vila2.data.shortening import listed, shown
from vila2.errors import DataError
from vila2.sources.file_kinds import RowFile, row_file
from vila2.sources.json_documents import Numbered, document_rows

if TYPE_CHECKING:
    import pyarrow as pa

_TRIED = 100  # lines without a row, after which a file counts as one of another kind
_LONGEST_CELL = 2**31 - 1
_LONGEST_LINE = 64 * 2**20  # a row with an image as base64 has room
_SHOWN_OF_LONG = 1000
_SPACE = re.compile(r"\s*")


def file_rows(path: Path) -> Iterator[Numbered | Reject]:
    """Yields the entries of a file, and a ``Reject`` for each broken line.

    Raises:
        DataError: the file has another format, or cannot be read to its end.
    """
    file = row_file(path)
    match file.kind:
        case "parquet":
            yield from _parquet_rows(path)
        case "zip":
            yield from _zipped_rows(path)
        case "array":
            yield from _array_rows(file)
        case "object":
            yield from _object_rows(file)
        case "csv":
            yield from _table_rows(file)
        case "lines":
            yield from _json_lines(file)


def _array_rows(file: RowFile) -> Iterator[Numbered | Reject]:
    rows = _array(file)
    if rows is None:
        yield from _json_lines(file)
        return
    for number, fields in enumerate(rows):
        yield Numbered(f"{file.path}[{number}]", fields)


def _array(file: RowFile) -> list[object] | None:
    """Reads a JSON array; None for JSON lines that are lists.

    Raises:
        DataError: the file is neither.
    """
    with file.open() as opened:
        text = opened.read()
    try:
        rows: list[object] = json.loads(text.decode(file.encoding))
        return rows
    except (ValueError, RecursionError) as error:
        lines = text.splitlines()
        if len(lines) > 1 and _is_json(lines[0]):
            return None
        raise DataError(
            f"{file.path}: the JSON cannot be read ({error})", hint="fix the file, or use JSONL"
        ) from error


def _object_rows(file: RowFile) -> Iterator[Numbered | Reject]:
    """Reads JSON lines or documents; the first line tells, since it is an object by itself or it is not."""
    with file.open() as opened:
        lines = _text_lines(opened, file)
        first = next((line for line in lines if line.strip()), b"")
        more = any(line.strip() for line in lines)
    documents: list[object] = []
    if not _is_json(first):
        documents = _documents(file)
    elif not more and file.suffix not in (".jsonl", ".ndjson"):
        documents = [json.loads(first)]
    if not documents:
        yield from _json_lines(file)
    elif len(documents) == 1 and isinstance(documents[0], dict):
        alone = f"{file.path}[0]" if more else f"{file.path}:1"
        yield from document_rows(documents[0], str(file.path), alone)
    else:
        for number, fields in enumerate(documents):
            yield Numbered(f"{file.path}[{number}]", fields)


def _documents(file: RowFile) -> list[object]:
    """Reads the JSON values of a file, each over any number of lines; none if it holds anything else."""
    with file.open() as opened:
        text = opened.read().decode(file.encoding, errors="replace").strip()
    found: list[object] = []
    place, decoder = 0, json.JSONDecoder()
    try:
        while place < len(text):
            value, place = decoder.raw_decode(text, place)
            found.append(value)
            if space := _SPACE.match(text, place):
                place = space.end()
    except (ValueError, RecursionError):
        return []
    return found


def _is_json(line: str | bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _json_lines(file: RowFile) -> Iterator[Numbered | Reject]:
    """Reads JSON lines.

    Raises:
        DataError: the first hundred lines hold no row, and one of them is not JSON.
    """
    with file.open() as opened:
        items = _line_rows(_text_lines(opened, file), str(file.path))
        head: list[Numbered | Reject] = []
        for item in items:
            head.append(item)
            if _is_row(item) or len(head) == _TRIED:
                break
        broken = next((item for item in head if isinstance(item, Reject)), None)
        if broken and not _is_row(head[-1]):
            raise DataError(
                f"{file.path}: neither JSON, JSON lines, CSV nor Parquet; "
                f"line {broken.where.rpartition(':')[2]}: "
                f"{broken.detail}",
                hint="write JSON lines, one object a line (json.dumps, not str), or CSV in a file named .csv",
            )
        yield from head
        yield from items


def _is_row(item: Numbered | Reject) -> bool:
    return isinstance(item, Numbered) and isinstance(item.fields, dict)


def _text_lines(opened: IO[bytes], file: RowFile) -> Iterator[str | bytes]:
    """Yields lines: of UTF-8 as bytes, so that a broken one is rejected alone; of other encodings as text."""
    if file.encoding == "utf-8-sig":
        yield from _bounded(opened)
        return
    try:
        yield from _bounded(io.TextIOWrapper(opened, encoding=file.encoding, newline="\n"))
    except UnicodeError as error:
        raise DataError(
            f"{file.path}: is not {file.encoding} text ({error})", hint="save it as UTF-8"
        ) from error


def _bounded(opened: IO[AnyStr]) -> Iterator[AnyStr]:
    """Yields lines; of one that is too long, as in a file that is unpacked to gigabytes, only the start."""
    while line := opened.readline(_LONGEST_LINE):
        yield line if len(line) < _LONGEST_LINE else line[:_SHOWN_OF_LONG]
        while len(line) == _LONGEST_LINE:
            line = opened.readline(_LONGEST_LINE)


def _line_rows(lines: Iterable[str | bytes], path: str) -> Iterator[Numbered | Reject]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            said = line[:200] if isinstance(line, str) else line[:200].decode(errors="replace")
            yield Reject(where, "", "bad-json", f"{error}: {shown(said.strip())}")
        else:
            yield Numbered(where, fields)


def _zipped_rows(path: Path) -> Iterator[Numbered | Reject]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith((".jsonl", ".ndjson"))]
            if not names:
                hint = "unpack it; only .jsonl files are read from a zip"
                raise DataError(f"{path}: a zip of {listed(archive.namelist())}", hint=hint)
            for name in names:
                with archive.open(name) as file:
                    yield from _line_rows(_bounded(file), f"{path}/{name}")
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be read ({error})", hint="fetch it again, or unpack it") from error


def _table_rows(file: RowFile) -> Iterator[Numbered | Reject]:
    """Reads CSV or TSV whose first line names the columns.

    Raises:
        DataError: the first line does not name the columns, or the encoding is another.
    """
    csv.field_size_limit(_LONGEST_CELL)  # images as base64
    try:
        with file.open() as opened, io.TextIOWrapper(opened, encoding=file.encoding, newline="") as text:
            head = text.readline()
            reader = csv.reader(_again(head, text), delimiter=_delimiter(head, file.suffix))
            names = next(reader, [])
            _check_names(names, str(file.path))
            for cells in reader:
                where = f"{file.path}:{reader.line_num}"
                if len(cells) == len(names):
                    yield Numbered(where, dict(zip(names, cells, strict=True)))
                elif cells:
                    detail = f"{len(cells)} cells instead of {len(names)} ({listed(names)})"
                    yield Reject(where, "", "bad-row", detail)
    except (csv.Error, UnicodeError) as error:
        raise DataError(f"{file.path}: cannot be read ({error})", hint="save it as CSV in UTF-8") from error


def _again(head: str, rest: Iterable[str]) -> Iterator[str]:
    yield head
    yield from rest


def _delimiter(head: str, suffix: str) -> str:
    if suffix == ".tsv" or "\t" in head:
        return "\t"
    return ";" if head.count(";") > head.count(",") else ","


def _check_names(names: list[str], path: str) -> None:
    """Refuses a first line that is already a row, as in CC3M: its content would be lost."""
    address = any("://" in name for name in names)
    if address or len(set(names)) < len(names) or not all(name.strip() for name in names):
        raise DataError(
            f"{path}: the first line does not name the columns: {listed(names)}",
            hint="put a line of names before it, such as image,caption"
            + ("; img2dataset fetches images that have an address" if address else ""),
        )


def _parquet_rows(path: Path) -> Iterator[Numbered | Reject]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        file = pq.ParquetFile(path)
        # Columns of bytes hold images, and a thousand photos take a gigabyte.
        heavy = any("binary" in str(field.type) for field in file.schema_arrow)
        for batch in file.iter_batches(batch_size=64 if heavy else 1024):
            yield from _batch_rows(batch, path, number)
            number += len(batch)
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise DataError(
            f"{path}: cannot be read after row {number} ({error})", hint="fetch it again"
        ) from error


def _batch_rows(batch: pa.RecordBatch, path: Path, start: int) -> Iterator[Numbered | Reject]:
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError):
        rows = None  # Python cannot hold a value, such as a date in the year 20000 or broken UTF-8
    for number in range(len(batch)):
        where = f"{path}[{start + number}]"
        try:
            yield Numbered(where, rows[number] if rows else batch.slice(number, 1).to_pylist()[0])
        except (ValueError, OverflowError) as error:
            yield Reject(where, "", "bad-row", f"a value that cannot be read ({error})")
