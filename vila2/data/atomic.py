"""Writes files that are either complete under their name or missing."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, durable: bool = True) -> Iterator[Path]:
    """Gives a temporary path, which is renamed to ``path`` when the block ends without an error.

    The file is forced to disk before the rename and the folder after it, so that neither a kill nor a power
    cut leaves half a file under the final name. When the block raises, the temporary file is removed and
    ``path`` is unchanged.

    Args:
        path: final path; its folder is created where it is missing.
        durable: whether to force the file to disk; False for files that are worthless after a power cut.

    Yields:
        The path to write to. It has the suffix of ``path``, because some writers choose a format by it.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        prefix=f".{final.stem[:80]}.", suffix=f".tmp{final.suffix}", dir=final.parent
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if durable:
            _sync(temporary)
        os.chmod(temporary, _file_mode())  # mkstemp makes files that only their owner can read
        os.replace(temporary, final)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
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


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _file_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
