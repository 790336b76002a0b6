"""Tars as they lie about: plain, or packed by gzip, bzip2, xz or zstd."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, BinaryIO, cast

from vila2.data.tar_members import packed_format
from vila2.errors import DataError

_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")


def is_tar_name(name: str) -> bool:
    """Whether a file's name says that it is a tar, packed or not."""
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".")


@contextmanager
def plain_tar(path: Path) -> Iterator[BinaryIO]:
    """A tar as a file with a descriptor, unpacked into a temporary one where it is packed.

    Of a packed tar that is cut off, what came before the cut is there.

    Raises:
        DataError: no such file, nothing to unpack it with, or no place to unpack it to.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file", hint="check the path")
    with path.open("rb") as file:
        packed = packed_format(file.read(8))
        file.seek(0)
        if not packed:
            yield file
            return
        with tempfile.TemporaryFile() as unpacked:
            _unpack(file, packed, unpacked, path)
            unpacked.seek(0)
            yield cast(BinaryIO, unpacked)


def _unpack(file: BinaryIO, packed: str, target: IO[bytes], path: Path) -> None:
    stream, damages = _stream(file, packed, path)
    while True:
        try:
            block = stream.read(1 << 20)
        except damages:
            return  # whoever reads the tar finds that it breaks off
        if not block:
            return
        try:
            target.write(block)
        except OSError as error:
            raise DataError(
                f"{path}: can not be unpacked to {tempfile.gettempdir()} ({error.strerror})",
                hint="unpack it yourself, or set TMPDIR to a folder with more room",
            ) from error


def _stream(file: BinaryIO, packed: str, path: Path) -> tuple[IO[bytes], tuple[type[Exception], ...]]:
    """The unpacked content, and what reading it raises where the file is damaged."""
    match packed:
        case "gzip":
            return cast(IO[bytes], gzip.GzipFile(fileobj=file)), (EOFError, OSError, zlib.error)
        case "bzip2":
            return bz2.BZ2File(file), (EOFError, OSError)
        case "xz":
            return lzma.LZMAFile(file), (EOFError, OSError, lzma.LZMAError)
    for name, error in (("compression.zstd", "ZstdError"), ("zstandard", "ZstdError")):
        try:
            module = import_module(name)
        except ImportError:
            continue
        return module.open(file, "rb"), (EOFError, OSError, getattr(module, error))
    raise DataError(
        f"{path}: is packed by zstd, which this Python can not unpack",
        hint=f"unpack it (zstd -d {path}), or `pip install zstandard`",
    )
