"""The lock of a run's folder.

One process holds it at a time, and however that process ends, it is released.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import time
from contextlib import suppress
from pathlib import Path

from vila2.errors import RunError

# `vila2 status` holds the lock for an instant, to see whether it is free.
_PATIENCE_SECONDS = 1.0

_held: set[int] = set()


def _release_in_child() -> None:
    # A worker that outlives a killed run must not keep the run locked.
    for handle in _held:
        with suppress(OSError):
            os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_release_in_child)


class RunLock:
    """An exclusive hold on a run's folder.

    Args:
        folder: folder of the run.

    Raises:
        RunError: another process holds it; the error names the process.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"
        self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _try(self.handle, fcntl.LOCK_EX, patience=_PATIENCE_SECONDS):
            holder = os.pread(self.handle, 32, 0).decode().strip() or "unknown"
            os.close(self.handle)
            raise RunError(
                f"{folder} is being run by process {holder}",
                hint=f"`vila2 status {shlex.quote(str(folder))}` shows it; wait for it, stop it, or run "
                "with another --out",
            )
        _held.add(self.handle)
        os.ftruncate(self.handle, 0)
        os.pwrite(self.handle, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Releases the lock; a second call does nothing."""
        if self.handle in _held:
            _held.remove(self.handle)
            os.close(self.handle)


def holder_of(folder: Path) -> int | None:
    """Returns the id of the process that runs ``folder`` now; None where none does, 0 where it is unknown."""
    try:
        handle = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        if _try(handle, fcntl.LOCK_SH, patience=0):
            return None
        text = os.pread(handle, 32, 0).decode().strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(handle)


def _try(handle: int, kind: int, *, patience: float) -> bool:
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.05)
