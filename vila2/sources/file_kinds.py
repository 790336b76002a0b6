"""Recognizes files of rows by their first bytes: format, compression and encoding.

Names say little: ``rows.json`` may be JSON lines, a login page, a Git LFS pointer, or gzip.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

from vila2.data.images import image_extension
from vila2.errors import DataError

Kind = Literal["parquet", "zip", "array", "object", "csv", "lines"]

_HEAD = 4096
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
}
_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zstd", ".lz4")
#: Other files that people give: their first bytes, what they are, and a hint.
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself", "fetch it: git lfs pull"),
    (b"ARROW1", "is an Arrow file", "give its folder to source huggingface"),
    (b"\xff\xff\xff\xff", "is an Arrow file", "give its folder to source huggingface"),
    (b"\x89HDF", "is an HDF5 file", "write its rows as Parquet or JSONL"),
    (b"\x93NUMPY", "is a NumPy file", "write its rows as Parquet or JSONL"),
    (b"\x80\x02", "is a pickle, which can run code and is never read", "write its rows as Parquet or JSONL"),
    (b"\x80\x03", "is a pickle, which can run code and is never read", "write its rows as Parquet or JSONL"),
    (b"\x80\x04", "is a pickle, which can run code and is never read", "write its rows as Parquet or JSONL"),
    (b"\x80\x05", "is a pickle, which can run code and is never read", "write its rows as Parquet or JSONL"),
    (b"SQLite format 3", "is an SQLite database", "write its rows as Parquet or JSONL"),
    (b"Obj\x01", "is an Avro file", "write its rows as Parquet or JSONL"),
    (b"ORC", "is an ORC file", "write its rows as Parquet or JSONL"),
    (b"%PDF", "is a PDF", "give rows of JSON, JSONL, CSV or Parquet"),
    (b"7z\xbc\xaf'\x1c", "is a 7z archive", "unpack it"),
    (b"Rar!", "is a RAR archive", "unpack it"),
)
_MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<head")
_READ = "rows are read from JSON, JSONL, CSV, TSV and Parquet, plain or compressed"


@dataclass(frozen=True, slots=True)
class RowFile:
    """A file of rows.

    Attributes:
        path: path of the file.
        kind: format of the content; "lines" for any other text.
        compression: "gzip", "bzip2", "xz", "zstd", "lz4", or "" for none.
        encoding: encoding of the text; "utf-8-sig" for UTF-8 with or without a byte order mark.
        suffix: suffix of the name, such as ".jsonl", without that of the compression.
    """

    path: Path
    kind: Kind
    compression: str
    encoding: str
    suffix: str

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Opens the content, decompressed.

        Raises:
            DataError: the content cannot be decompressed to its end.
        """
        try:
            with _opened(self.path, self.compression) as file:
                yield file
        except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, OSError) as error:
            what = f"the {self.compression} is damaged or cut off" if self.compression else "cannot be read"
            raise DataError(f"{self.path}: {what} ({error})", hint="fetch it again") from error


def row_file(path: Path) -> RowFile:
    """Recognizes a file by its content; the name decides only between kinds of plain text.

    Raises:
        DataError: the file holds no rows; the error says what it is.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    compression = next((name for magic, name in _COMPRESSED.items() if head.startswith(magic)), "")
    name = path.name.lower()
    if compression:
        head = _decompressed_head(path, compression)
        name = name.removesuffix(next((end for end in _SUFFIXES if name.endswith(end)), ""))
    suffix = Path(name).suffix
    _refuse_other(path, head, compression, suffix)
    encoding = _encoding(path, head, suffix)
    kind = _kind(head, suffix, encoding)
    if compression and kind in ("parquet", "zip"):
        raise DataError(f"{path}: is a {compression} archive of a {kind} file", hint="unpack it")
    if kind == "lines" and suffix in (".yaml", ".yml"):
        raise DataError(f"{path}: is YAML, which is not read as rows", hint="write its rows as JSON or JSONL")
    return RowFile(path, kind, compression, encoding, suffix)


def _decompressed_head(path: Path, compression: str) -> bytes:
    with RowFile(path, "lines", compression, "", "").open() as file:
        return file.read(_HEAD)


@contextmanager
def _opened(path: Path, compression: str) -> Iterator[IO[bytes]]:
    if compression in ("zstd", "lz4"):
        import pyarrow as pa

        try:
            with pa.input_stream(str(path), compression=compression) as file:
                yield io.BufferedReader(file)  # Arrow's own cannot be read line by line
        except pa.ArrowException as error:
            raise OSError(str(error)) from error
        return
    with _OPENERS[compression](path, "rb") as file:
        yield file


_Opener = Callable[[Path, Literal["rb"]], IO[bytes]]
_OPENERS: dict[str, _Opener] = {
    "": open,
    "gzip": cast(_Opener, gzip.open),  # a GzipFile is no IO[bytes] by name
    "bzip2": bz2.open,
    "xz": lzma.open,
}


def _refuse_other(path: Path, head: bytes, compression: str, suffix: str) -> None:
    inside = f"is a {compression} archive of a file that " if compression else ""
    if head[257:262] == b"ustar" or suffix in (".tar", ".tgz"):
        if inside:
            hint = "unpack it; tars of images and captions are read by source img2dataset"
            raise DataError(f"{path}: is a tar archive compressed with {compression}", hint=hint)
        raise DataError(f"{path}: is a tar archive", hint="read it with source img2dataset, or unpack it")
    for magic, what, hint in _OTHERS:
        if head.startswith(magic):
            raise DataError(f"{path}: {inside}{what}", hint=hint)
    if head.lstrip()[:9].lower().startswith(_MARKUP):
        hint = f"fetch it again (a page in place of a file is often a login or an error); {_READ}"
        raise DataError(f"{path}: {inside}is an HTML or XML page", hint=hint)
    try:
        kind = image_extension(head)
    except DataError:
        return
    if kind != "bmp":  # a text may begin with BM
        hint = f"source folder reads a folder of images; {_READ}"
        raise DataError(f"{path}: {inside}is an image ({kind})", hint=hint)


def _encoding(path: Path, head: bytes, suffix: str) -> str:
    if _magic_kind(head, suffix):
        return ""
    found = json.detect_encoding(head)
    if not found.startswith("utf-8"):
        try:
            text = codecs.getincrementaldecoder(found)().decode(head)
        except UnicodeError:
            text = "\0"
    else:
        found, text = "utf-8-sig", head.decode(errors="ignore")
    if "\0" in text:
        raise DataError(f"{path}: is a binary file of an unknown kind", hint=_READ)
    return found


def _magic_kind(head: bytes, suffix: str) -> Kind | None:
    """Recognizes Parquet and zip; the name counts too, so that the reader can say how a file is damaged."""
    if head.startswith(b"PAR1") or suffix == ".parquet":
        return "parquet"
    return "zip" if head.startswith((b"PK\x03\x04", b"PK\x05\x06")) or suffix == ".zip" else None


def _kind(head: bytes, suffix: str, encoding: str) -> Kind:
    if kind := _magic_kind(head, suffix):
        return kind
    first = head.decode(encoding, errors="ignore").lstrip("\ufeff \t\r\n")[:1]
    if first == "[":
        return "array"
    if first == "{":
        return "object"
    return "csv" if suffix in (".csv", ".tsv") else "lines"
