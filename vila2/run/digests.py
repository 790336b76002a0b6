"""Digests of plain values, and of files and folders from outside a run."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from vila2.errors import RunError

_WHOLE_FILE_BYTES = 64 << 20
_END_BYTES = 1 << 20


def canonical_json(value: Any) -> str:
    """Writes a value as JSON. Equal values give equal text.

    Raises:
        TypeError: the value holds something that JSON has no form for.
        ValueError: the value holds nan or inf.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest_value(value: Any) -> str:
    """Returns the SHA-256 of a plain value, in hex."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def digest_path(path: str | os.PathLike[str]) -> str:
    """Returns a SHA-256, in hex, that changes when the content at ``path`` changes.

    A file of up to 64 MB counts by its content. A larger file counts by its size, its time of change and its
    two ends. A dataset's folder counts by its ``dataset.json``, which holds the digests of the shards: a new
    layer beside them changes nothing. Any other folder counts by the names, sizes and times of its files.

    Raises:
        RunError: nothing is there, or it cannot be read.
    """
    path = Path(path)
    try:
        if path.is_dir():
            manifest = path / "dataset.json"
            return _digest_file(manifest) if manifest.is_file() else _digest_folder(path)
        return _digest_file(path)
    except OSError as error:
        raise RunError(
            f"{path}: {error.strerror or error}", hint="give the path of a file or folder that exists"
        ) from error


def _digest_file(path: Path) -> str:
    status = path.stat()
    with path.open("rb") as file:
        if status.st_size <= _WHOLE_FILE_BYTES:
            return hashlib.file_digest(file, "sha256").hexdigest()
        found = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns} ".encode())
        found.update(file.read(_END_BYTES))
        file.seek(-_END_BYTES, os.SEEK_END)
        found.update(file.read())
    return found.hexdigest()


def _digest_folder(folder: Path) -> str:
    rows = []
    for above, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            path = os.path.join(above, name)
            status = os.stat(path)
            rows.append([os.path.relpath(path, folder), status.st_size, status.st_mtime_ns])
    return digest_value(sorted(rows))


def _raise(error: OSError) -> None:
    raise error
