"""Journals: append-only files of JSON lines that survive a kill in the middle of a line."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

from vila2.errors import DataError


class Journal:
    """A record of finished work, one checksummed JSON line per entry, each on disk before the next begins.

    Opening a journal reads its entries and cuts off a broken end: the last line of a process that was killed
    while it wrote.

    Args:
        path: path of the file, which appears with the first entry.
        only_last: whether to refuse a broken line that other lines follow; for work that cannot be done
            again.

    Raises:
        DataError: with ``only_last``, a broken line is not the last one.
    """

    def __init__(self, path: Path, *, only_last: bool = False) -> None:
        self.path = path
        self.entries: list[Any] = []
        if path.exists():
            self.entries = cut_broken_tail(path, _checked, only_last=only_last)

    @staticmethod
    def read(path: Path) -> list[Any]:
        """Reads the entries of a journal that another process may write; a broken end is left out."""
        entries = []
        for line in path.read_bytes().split(b"\n")[:-1]:
            try:
                entries.append(_checked(line))
            except (ValueError, RecursionError):
                break
        return entries

    def append(self, entry: Any) -> None:
        """Adds an entry; it is on disk when this returns."""
        text = json.dumps(entry, ensure_ascii=False)
        with self.path.open("ab") as file:
            append_lines(file, [f"{zlib.crc32(_encoded(text)):08x} {text}"])
        self.entries.append(entry)

    def remove(self) -> None:
        """Deletes the file, once its entries are kept elsewhere."""
        self.path.unlink(missing_ok=True)


def cut_broken_tail(path: Path, parse: Callable[[bytes], Any], *, only_last: bool = False) -> list[Any]:
    """Reads a file of lines and truncates it before the first broken line.

    Args:
        path: path of an existing file.
        parse: function that reads one line without its line end; raises ValueError for a broken one.
        only_last: whether to refuse a broken line that other lines follow.

    Returns:
        The result of ``parse`` for each line that is left.

    Raises:
        DataError: with ``only_last``, a broken line is not the last one.
    """
    entries, good = [], 0
    with path.open("r+b") as file:
        for number, line in enumerate(file, start=1):
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("no line end")
                entries.append(parse(line[:-1]))
            except (ValueError, RecursionError) as error:
                if only_last and file.read(1):
                    raise DataError(
                        f"{path}, line {number}: cannot be read ({error})",
                        hint="fix or delete the line; what it held is then made again",
                    ) from error
                file.truncate(good)
                os.fsync(file.fileno())
                break
            good += len(line)
    return entries


def append_lines(file: BinaryIO, lines: Iterable[str]) -> None:
    """Writes lines at once and waits until they are on disk."""
    file.write(_encoded("".join(line + "\n" for line in lines)))
    file.flush()
    os.fsync(file.fileno())


def _encoded(text: str) -> bytes:
    """Encodes JSON; a half character, as in a file name that is not UTF-8, becomes its escape."""
    return text.encode("utf-8", "backslashreplace")


def _checked(line: bytes) -> Any:
    checksum, _, text = line.partition(b" ")
    if int(checksum, 16) != zlib.crc32(text):
        raise ValueError("wrong checksum")
    return json.loads(text)
