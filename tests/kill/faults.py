"""The injector: counts the file operations of this process below a folder, and breaks one of them.

An operation is an open for writing, a write, a sync, a rename, a link, a deletion, or a new folder. Python's
functions are replaced, so writes of compiled libraries do not count, except those of safetensors, which count
as one write each. Meant for a forked child that ends soon: nothing is put back.
"""

from __future__ import annotations

import builtins
import errno
import io
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

#: What happens at the operation: an end before it; an end in its middle (half of a write is on disk, anything
#: else is done); an error of the system; a signal that the process may handle.
Kind = Literal["kill", "torn", "ENOSPC", "EIO", "EROFS", "SIGTERM", "SIGINT"]
KINDS: tuple[Kind, ...] = ("kill", "torn", "ENOSPC", "EIO", "EROFS", "SIGTERM", "SIGINT")

_SYSTEM_ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EROFS": errno.EROFS}
_SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}
#: Operations that need no room, so that a full disk does not refuse them.
_NEEDS_NO_ROOM = {"unlink", "rmdir", "fsync", "truncate", "rename"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass
class Injector:
    """Counts operations below ``root``, and breaks number ``at``.

    Attributes:
        root: folder that counts.
        at: number of the operation to break, from 1; 0 breaks none.
        kind: what happens there.
        done: the operations so far, as ``name path``.
    """

    root: Path
    at: int = 0
    kind: Kind = "kill"
    done: list[str] = field(default_factory=list)
    _lock: Any = field(default_factory=threading.RLock)

    def install(self) -> None:
        """Replaces the functions of this process that change files."""
        self._root = os.path.realpath(self.root) + os.sep
        for name in ("replace", "rename", "link", "symlink"):
            self._replace_path(name, "rename" if name in ("replace", "rename") else name, named=1)
        for name in ("unlink", "remove", "rmdir", "mkdir", "truncate"):
            self._replace_path(name, "unlink" if name == "remove" else name)
        for name in ("fsync", "fdatasync", "ftruncate"):
            self._replace_handle(name, "truncate" if name == "ftruncate" else "fsync")
        for name in ("write", "pwrite"):
            self._replace_write(name)
        self._replace_open()
        if "safetensors" in sys.modules:
            self._replace_safetensors()

    def touch(self, name: str, path: str, half: Callable[[], Any] | None = None) -> None:
        """Counts an operation and breaks it if it is the one.

        Args:
            name: kind of the operation.
            path: file or folder; others than those below ``root`` do not count.
            half: what does half of the operation, or all of it, before a torn end.
        """
        if not os.path.realpath(path).startswith(self._root):
            return
        with self._lock:
            self.done.append(f"{name} {os.path.realpath(path)[len(self._root) :]}")
            number = len(self.done)
        if not self.at or number < self.at:
            return
        if self.kind in _SYSTEM_ERRORS:
            # A full or read-only disk stays so; a failed read or write may succeed the next time.
            if self.kind == "EIO" and number > self.at:
                return
            if self.kind == "ENOSPC" and name in _NEEDS_NO_ROOM:
                return
            code = _SYSTEM_ERRORS[self.kind]
            raise OSError(code, os.strerror(code), path)
        if number > self.at:
            return
        if self.kind in _SIGNALS:
            os.kill(os.getpid(), _SIGNALS[self.kind])
            return
        if self.kind == "torn" and half is not None:
            half()
        os.kill(os.getpid(), signal.SIGKILL)

    def _replace_path(self, name: str, counted: str, named: int = 0) -> None:
        """A function whose first argument is a path; ``named`` is the one that counts."""
        real = getattr(os, name)

        def changed(*args: Any, **kwargs: Any) -> Any:
            path = args[named]
            folder = kwargs.get("dir_fd")
            shown = os.fsdecode(path) if not isinstance(path, int) else _name_of(path)
            if folder is not None:
                shown = os.path.join(_name_of(folder), shown)
            self.touch(counted, shown, lambda: real(*args, **kwargs))
            return real(*args, **kwargs)

        setattr(os, name, changed)

    def _replace_handle(self, name: str, counted: str) -> None:
        real = getattr(os, name)

        def changed(handle: Any, *args: Any) -> Any:
            number = handle if isinstance(handle, int) else handle.fileno()
            self.touch(counted, _name_of(number), lambda: real(handle, *args))
            return real(handle, *args)

        setattr(os, name, changed)

    def _replace_write(self, name: str) -> None:
        real = getattr(os, name)

        def changed(handle: int, data: Any, *args: Any) -> Any:
            view = memoryview(data).cast("B")
            self.touch("write", _name_of(handle), lambda: real(handle, view[: len(view) // 2], *args))
            return real(handle, data, *args)

        setattr(os, name, changed)

    def _replace_open(self) -> None:
        injector, real_os_open, real_open = self, os.open, io.open

        class CountedFile(io.FileIO):
            def write(self, data: Any) -> int:
                view = memoryview(data).cast("B")
                whole = super().write
                injector.touch("write", os.fsdecode(self.name), lambda: whole(view[: len(view) // 2]))
                return whole(data)

            def truncate(self, size: int | None = None) -> int:
                whole = super().truncate
                injector.touch("truncate", os.fsdecode(self.name), lambda: whole(size))
                return whole(size)

        def opened(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            if flags & _WRITES:
                shown = os.fsdecode(path)
                if kwargs.get("dir_fd") is not None:
                    shown = os.path.join(_name_of(kwargs["dir_fd"]), shown)
                injector.touch("open", shown, lambda: real_os_open(path, flags, *args, **kwargs))
            return real_os_open(path, flags, *args, **kwargs)

        def open_file(
            file: Any,
            mode: str = "r",
            buffering: int = -1,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
            closefd: bool = True,
            opener: Any = None,
        ) -> Any:
            own = isinstance(file, str | bytes | os.PathLike) and opener is None
            if not (own and set(mode) & set("wax+")) or not injector._counts(os.fsdecode(file)):
                return real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
            raw_mode = mode.replace("b", "").replace("t", "")
            injector.touch("open", os.fsdecode(file), lambda: CountedFile(os.fspath(file), raw_mode))
            raw = CountedFile(os.fspath(file), raw_mode)
            if buffering == 0:
                return raw
            binary: Any = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return binary if "b" in mode else io.TextIOWrapper(binary, encoding, errors, newline)

        os.open = opened
        io.open = open_file
        builtins.open = open_file

    def _counts(self, path: str) -> bool:
        return os.path.realpath(path).startswith(self._root)

    def _replace_safetensors(self) -> None:
        import safetensors.torch as torch_files

        real = torch_files.serialize_file

        def changed(tensors: Any, filename: Any, *args: Any, **kwargs: Any) -> None:
            def half() -> None:
                real(tensors, filename, *args, **kwargs)
                os.truncate(filename, os.stat(filename).st_size // 2)

            self.touch("write", os.fsdecode(filename), half)
            real(tensors, filename, *args, **kwargs)

        torch_files.serialize_file = changed


def _name_of(handle: int) -> str:
    return os.readlink(f"/proc/self/fd/{handle}")


def attempts(operations: int, kinds: tuple[Kind, ...] = KINDS) -> list[tuple[int, Kind]]:
    """Every operation with every kind of fault."""
    return list(itertools.product(range(1, operations + 1), kinds))
