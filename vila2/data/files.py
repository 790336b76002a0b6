"""Reads files as people have them: odd names, pipes among photos, texts in other encodings."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

from vila2.errors import DataError

#: Largest size of an image or text in bytes. A larger one is taken for a mistake; as an image, it would have
#: more
#: pixels than are accepted.
MAX_BYTES = 512 * 2**20

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_BOMS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def readable_name(name: str) -> str:
    """Makes a file's name storable and printable: bytes that are not UTF-8 are written as ``\\xe9``."""
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a half character that no byte of a name stands for
        return name.encode("utf-8", "backslashreplace").decode()


def read_file(path: Path | str) -> bytes:
    """Reads a regular file of at most :data:`MAX_BYTES` bytes.

    A pipe is not opened, because reading it could wait forever.

    Raises:
        DataError: the file is missing, cannot be read, is not a regular file, or is too large.
    """
    shown = readable_name(str(path))
    try:
        found = os.stat(path)
        for is_kind, kind in _KINDS:
            if is_kind(found.st_mode):
                raise DataError(f"{shown}: {kind}, not a file", hint="take it out of the folder")
        if found.st_size > MAX_BYTES:
            raise too_large(shown, found.st_size)
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{shown}: {error.strerror or error}", hint="check the path") from error
    except ValueError as error:  # a NUL in the name
        raise DataError(f"{shown!r}: not the name of a file ({error})", hint="check the path") from error


def too_large(where: str, size: int) -> DataError:
    """Makes the error about a file or tar member of more than :data:`MAX_BYTES` bytes."""
    return DataError(
        f"{where}: {size / 2**20:.0f} MiB, more than {MAX_BYTES // 2**20} MiB",
        hint="scale the image down before importing it, or leave it out",
    )


def decode_text(data: bytes, *, where: str) -> str:
    """Decodes a text file: UTF-8 with or without a byte order mark, or UTF-16 or UTF-32 with one.

    Args:
        data: content of the file.
        where: name of the file, for the error.

    Raises:
        DataError: the text has another encoding.
    """
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8-sig")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig":
            raise DataError(
                f"{where}: the text is not sound {encoding.upper()} ({error.reason})", hint="save it as UTF-8"
            ) from error
        byte, place = data[error.start], error.start
        raise DataError(
            f"{where}: the text is not UTF-8 (byte 0x{byte:02x} at {place}); is it Latin-1 or Windows-1252?",
            hint="save it as UTF-8, for example with `iconv -f windows-1252 -t utf-8`",
        ) from error
