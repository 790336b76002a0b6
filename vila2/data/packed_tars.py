"""Opens tars, plain or compressed by gzip, bzip2, xz or zstd."""

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
    """Whether a file's name is that of a tar, compressed or not."""
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".")


@contextmanager
def plain_tar(path: Path) -> Iterator[BinaryIO]:
    """Opens a tar; a compressed one is decompressed into a temporary file.

    A compressed tar that is truncated gives everything before the cut.

    Raises:
        DataError: the file is missing, or there is no way to decompress it or no space to do so.
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
            return  # the reader of the tar notices that it is truncated
        if not block:
            return
        try:
            target.write(block)
        except OSError as error:
            raise DataError(
                f"{path}: cannot be decompressed to {tempfile.gettempdir()} ({error.strerror})",
                hint="decompress it yourself, or set TMPDIR to a folder with more room",
            ) from error


def _stream(file: BinaryIO, packed: str, path: Path) -> tuple[IO[bytes], tuple[type[Exception], ...]]:
    """Opens the decompressed content; gives it with the errors that reading a damaged file raises."""
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
        f"{path}: is compressed by zstd, which this Python cannot decompress",
        hint=f"decompress it (zstd -d {path}), or `pip install zstandard`",
    )
