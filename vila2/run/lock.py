"""The lock of a run's folder.

One process holds it at a time, and however that process ends, it is released.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from vila2.data.locks import hold, holding_process, signature
from vila2.errors import RunError

# `vila2 status` holds the lock for an instant, to see whether it is free.
_PATIENCE_SECONDS = 1.0
_NAME = "lock"


class RunLock:
    """An exclusive hold on the folder of a run.

    Args:
        folder: folder of the run, which exists.

    Raises:
        RunError: another process holds it, which is named; or the file system has no locks.
    """

    def __init__(self, folder: Path) -> None:
        file = folder / _NAME
        held = hold(file, patience=_PATIENCE_SECONDS)
        if held is None:
            where = shlex.quote(str(folder))
            raise RunError(
                f"{folder} is being run by process {signature(file) or 'unknown'}",
                hint=f"look with `vila2 status {where}`; wait for it, stop it, or run with another --out",
            )
        self._held = held

    def release(self) -> None:
        """Lets go; a second call does nothing."""
        self._held.release()


def holder_of(folder: Path) -> int | None:
    """Returns the id of the process that runs ``folder`` now; None if none does, 0 if the id is unknown."""
    return holding_process(folder / _NAME)
