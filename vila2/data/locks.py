"""The file lock: a file that one process holds until it lets go or ends, however it ends.

The lock is ``flock`` on a file that is opened for writing, since network file systems grant an exclusive lock
to a writer only. Runs, datasets, layers and captions files are all guarded by it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from vila2.errors import RunError

#: Environment variable that turns locking off where it is set to 1.
NO_LOCKS = "VILA2_NO_LOCKS"
#: Name of the hidden file that stands for a locked folder.
FOLDER_LOCK = ".lock"

_NOT_SUPPORTED = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})
_NOT_WRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_PAUSE_SECONDS = 0.05

_held: set[Hold] = set()


class Hold:
    """A lock that this process holds.

    Args:
        file: path of the locked file.
        handle: descriptor of the open file; None for an empty hold.

    Attributes:
        vanishes: whether the file is deleted when the lock is released.
    """

    def __init__(self, file: Path, handle: int | None) -> None:
        self.file = file
        self.vanishes = False
        self._handle = handle
        if handle is not None:
            _held.add(self)

    def release(self) -> None:
        """Lets go; a second call does nothing."""
        if self._handle is None:
            return
        if self.vanishes:
            # Safe while the lock is held: whoever opened this file meanwhile finds it gone and opens a new
            # one.
            with suppress(OSError):
                self.file.unlink()
        self._close()
        _held.discard(self)

    def _close(self) -> None:
        if self._handle is not None:
            with suppress(OSError):
                os.close(self._handle)
            self._handle = None


def hold(file: Path, *, patience: float = 0.0, signed: bool = True, shared: bool = False) -> Hold | None:
    """Locks a file, which is created where it is missing.

    Args:
        file: path of the file.
        patience: seconds to wait while another process holds the file.
        signed: whether the file is the lock's own, so that the number of this process is written into it.
        shared: whether other processes may hold it too, as long as all of them share it.

    Returns:
        The hold, or None where another process holds the file.

    Raises:
        RunError: the file system has no locks.
        OSError: the file cannot be opened for writing.
    """
    end = time.monotonic() + patience
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            locked = _try(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, file)
            if locked and _is_in_place(handle, file):
                if signed and not shared:
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, str(os.getpid()).encode(), 0)
                return Hold(file, handle)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        if not locked:
            if time.monotonic() >= end:
                return None
            time.sleep(_PAUSE_SECONDS)


def hold_folder(folder: Path, *, patience: float = 0.0, shared: bool = False) -> Hold | None:
    """Locks a folder through a hidden file in it, which is deleted on release unless the lock is shared.

    A folder that this process may not write to needs no lock: the hold is an empty one.

    Args:
        folder: path of an existing folder.
        patience: seconds to wait while another process holds the folder.
        shared: whether other processes may hold it too, as long as all of them share it.

    Returns:
        The hold, or None where another process holds the folder.

    Raises:
        RunError: the file system has no locks.
    """
    file = folder / FOLDER_LOCK
    try:
        held = hold(file, patience=patience, shared=shared)
    except OSError as error:
        if error.errno in _NOT_WRITABLE and not os.access(folder, os.W_OK):
            return Hold(file, None)
        raise
    if held is not None:
        held.vanishes = not shared
    return held


def holding_process(file: Path) -> int | None:
    """Number of the process that holds a file now.

    Args:
        file: path of a file that :func:`hold` signs.

    Returns:
        The number; 0 where a process holds the file and its number is not known; None where nobody holds it,
        or the file system cannot tell.
    """
    try:
        handle = os.open(file, os.O_RDONLY)
    except OSError:
        return None
    try:
        return None if _try(handle, fcntl.LOCK_SH, file) else _signature(handle)
    except RunError:
        return None
    finally:
        os.close(handle)


def holding(file: Path) -> bool:
    """Whether a process holds a file now, on this machine or another one."""
    return holding_process(file) is not None


def signature(file: Path) -> int:
    """Number of the process that signed a file last; 0 where it is not known."""
    try:
        handle = os.open(file, os.O_RDONLY)
    except OSError:
        return 0
    try:
        return _signature(handle)
    finally:
        os.close(handle)


def _try(handle: int, kind: int, file: Path) -> bool:
    """Locks an open file if nobody else holds it."""
    if os.environ.get(NO_LOCKS, "") not in ("", "0"):
        return True
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        raise RunError(
            f"{file}: the file system has no locks ({error.strerror})",
            hint=f"use a folder on another disk; or set {NO_LOCKS}=1 to go without locks, and make sure that "
            "no second process writes there",
        ) from error
    return True


def _is_in_place(handle: int, file: Path) -> bool:
    """Whether an open file still lies under its path; its last holder may have deleted or replaced it."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(file))
    except FileNotFoundError:
        return False


def _signature(handle: int) -> int:
    text = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdecimal() else 0


def _let_go_in_child() -> None:
    """Closes the locks in a forked child: a worker that outlives its killed parent must not keep them."""
    for held in _held:
        held._close()
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)
