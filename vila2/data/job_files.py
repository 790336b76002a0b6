"""The files of a resumable job: its settings, and the guard against mixing two jobs."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vila2.data.atomic import write_json_atomic
from vila2.errors import DataError, RunError


def keep_job(path: Path, job: Mapping[str, Any], *, where: Path, hint: str) -> None:
    """Writes the description, or compares with the one that is there from an earlier run.

    Raises:
        DataError: the earlier run had other settings, each of which is named.
    """
    if path.exists():
        check_earlier_job(path, job, where=where, hint=hint)
    else:
        write_json_atomic(path, job)


def check_earlier_job(path: Path, job: Mapping[str, Any], *, where: Path, hint: str) -> None:
    """Compares with the description of an earlier run, where there is one.

    Args:
        path: the description.
        job: a description, or the part of it that is known.
        where: what the job writes, for the error.
        hint: likewise.

    Raises:
        DataError: they differ; each difference is named.
    """
    if not path.exists():
        return
    try:
        earlier = json.loads(path.read_text())
    except ValueError as error:
        raise DataError(f"{path}: can not be read ({error})", hint=hint) from error
    check_same_job(earlier, job, where=where, hint=hint)


def check_same_job(earlier: Mapping[str, Any], job: Mapping[str, Any], *, where: Path, hint: str) -> None:
    """Raises:
    DataError: ``earlier`` differs from ``job`` in anything that ``job`` holds.
    """
    old, new = _flat(earlier), _flat(dict(job))
    names = sorted(name for name in new.keys() | old.keys() if old.get(name) != new.get(name))
    names = [name for name in names if name.partition(".")[0] in job]
    if names:
        changes = "; ".join(
            f"{name}: {_short(old.get(name))} there, {_short(new.get(name))} now" for name in names
        )
        raise DataError(f"{where} was begun with other settings ({changes})", hint=hint)


def different_settings(earlier: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Any]:
    """What a job does otherwise than an earlier one: engine, prompts, seed, and settings of generation by name."""
    known = ("engine", "digest", "prompts", "seed")
    changed = {name: job[name] for name in known if name in job and job[name] != earlier.get(name)}
    before = earlier.get("settings", {})
    return changed | {
        name: value for name, value in job.get("settings", {}).items() if before.get(name) != value
    }


class OutputLock:
    """A hold on an output, for one process alone.

    Attributes:
        path: of the output, a folder or a file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handles = [_hold(path, path)]
        # Another process may have put a new file in its place after this one opened the old one.
        while os.fstat(self._handles[-1]).st_ino != os.stat(path).st_ino:
            self._handles.append(_hold(path, path))

    def take_over(self, file: Path) -> None:
        """Holds a file too that is about to take the output's place."""
        self._handles.append(_hold(file, self.path))

    def release(self) -> None:
        """Lets go."""
        while self._handles:
            os.close(self._handles.pop())


@contextmanager
def only_writer(path: Path) -> Iterator[OutputLock]:
    """Holds a folder or file for this process; released when it ends, however it ends.

    Raises:
        RunError: another process holds it.
    """
    lock = OutputLock(path)
    try:
        yield lock
    finally:
        lock.release()


def _hold(file: Path, path: Path) -> int:
    handle = os.open(file, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise RunError(
            f"{path} is being written by another process", hint="wait for it, or write elsewhere"
        ) from error
    return handle


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _short(value: Any) -> str:
    if value is None:
        return "absent"
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
