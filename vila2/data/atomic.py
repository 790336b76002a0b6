"""Writes files that are either complete under their name or missing."""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, durable: bool = True, locked: bool = True) -> Iterator[Path]:
    """Gives a temporary path, which is renamed to ``path`` when the block ends without an error.

    What killed writers of the same path left behind is removed first.

    The file is forced to disk before the rename and the folder after it, so that neither a kill nor a power
    cut leaves half a file under the final name. When the block raises, the temporary file is removed and
    ``path`` is unchanged.

    Args:
        path: final path; its folder is created where it is missing.
        durable: whether to force the file to disk; False for files that are worthless after a power cut.
        locked: whether to lock the temporary file, so that other writers of the path let it be; False where
            the block locks it.

    Yields:
        The path to write to. It has the suffix of ``path``, because some writers choose a format by it.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(final)
    handle, temporary = _make_temporary(final, locked)
    try:
        yield temporary
        if durable:
            _sync(temporary)
        os.chmod(temporary, file_mode())  # mkstemp makes files that only their owner can read
        os.replace(temporary, final)
    except BaseException:
        with suppress(OSError):  # gone already, or the disk has become read-only
            temporary.unlink()
        raise
    finally:
        os.close(handle)
    if durable:
        sync_folder(final.parent)


def write_bytes_atomic(path: str | os.PathLike[str], data: bytes, *, durable: bool = True) -> None:
    """Writes ``data`` to ``path``; the file then holds either all of it or its old content."""
    with atomic_path(path, durable=durable) as temporary:
        temporary.write_bytes(data)


def write_text_atomic(path: str | os.PathLike[str], text: str, *, durable: bool = True) -> None:
    """Writes ``text`` as UTF-8 with unchanged line ends; see :func:`write_bytes_atomic`.

    A half character, which comes from a file's name that is not UTF-8, is written as ``\\udce9``; in JSON,
    this escape stands for it.
    """
    write_bytes_atomic(path, text.encode("utf-8", "backslashreplace"), durable=durable)


def write_json_atomic(
    path: str | os.PathLike[str], value: Any, *, indent: int | None = 2, durable: bool = True
) -> None:
    """Writes ``value`` as JSON with a final line end; see :func:`write_bytes_atomic`.

    Raises:
        TypeError: JSON has no form for ``value``; nothing is written.
    """
    write_text_atomic(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n", durable=durable)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Forces the names in a folder to disk, after one of them changed."""
    _sync(Path(folder))


def sync_tree(folder: str | os.PathLike[str]) -> None:
    """Forces all files below a folder to disk, before something says that they are whole."""
    for above, _, names in os.walk(folder):
        for name in names:
            _sync(Path(above, name))
        _sync(Path(above))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(final: Path) -> None:
    """Removes the temporary files of a path whose writers are dead.

    A living writer holds a lock on its file. Where the file system has no locks, a day's age decides. A
    folder is listed once in a process: later leftovers would be those of a process that is still alive.

    Args:
        final: the path that the temporary files were to become.
    """
    if final.parent not in _leftovers:
        with suppress(OSError):
            names = [name for name in os.listdir(final.parent) if _TEMPORARY.fullmatch(name)]
            _leftovers[final.parent] = names
    prefix, suffix = _affixes(final)
    for name in _leftovers.get(final.parent, ()):
        if name.startswith(prefix) and name.endswith(suffix) and len(name) == len(prefix + suffix) + 8:
            with suppress(OSError):
                _remove_abandoned(final.parent / name)


#: The name of a temporary file: that of the final one with ``mkstemp``'s eight letters.
_TEMPORARY = re.compile(r"\..*\.[a-z0-9_]{8}\.tmp(\.[^.]*)?")
_DAY = 24 * 3600
#: Temporary files that were there when this process first wrote to a folder.
_leftovers: dict[Path, list[str]] = {}


def _affixes(final: Path) -> tuple[str, str]:
    return f".{final.stem[:80]}.", f".tmp{final.suffix}"


def _make_temporary(final: Path, locked: bool) -> tuple[int, Path]:
    """Makes a temporary file, locked or not; returns its descriptor, which carries the lock, and its path."""
    prefix, suffix = _affixes(final)
    while True:
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=final.parent)
        if locked:
            with suppress(OSError):  # no locks here
                fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:  # else it was taken for a leftover before it was locked
            return handle, Path(name)
        os.close(handle)


def _remove_abandoned(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except OSError:
            if time.time() - os.fstat(handle).st_mtime < _DAY:
                return
        path.unlink()
    finally:
        os.close(handle)


def file_mode() -> int:
    """The mode that a file made by this process usually has."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
