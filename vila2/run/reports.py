"""Progress and log lines of another process, as plain values that a line of JSON can hold."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from vila2.progress import Progress, Task

#: One report: a task begins, advances or ends; or a line for the log.
Report = Mapping[str, Any]


class Sender(Protocol):
    """The way to the process that listens."""

    def __call__(self, **report: Any) -> None:
        """Sends one report."""


class Reports:
    """A progress that is told to another process.

    Args:
        send: way to that process.
    """

    def __init__(self, send: Sender) -> None:
        self.send = send

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Task]:
        """Reports a task; see :class:`vila2.progress.Progress`."""
        self.send(task=label, total=total)
        yield self
        self.send(task_ends=label)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Counts ``n`` more of the task as done."""
        self.send(advance=n, note=note)

    def log_to(self, name: str) -> None:
        """Reports the lines of a log too."""
        log = logging.getLogger(name)
        log.setLevel(logging.INFO)
        log.addHandler(_SentLog(self.send))


class _SentLog(logging.Handler):
    def __init__(self, send: Sender) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send(log=record.getMessage(), level=record.levelno, name=record.name)


class Replay:
    """Shows here what another process reports.

    Args:
        progress: progress of this process.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: list[tuple[AbstractContextManager[Task], Task]] = []

    def take(self, report: Report) -> bool:
        """Shows a report; false where it is of another kind."""
        match report:
            case {"task": label, "total": total}:
                context = self._progress.task(label, total)
                self._tasks.append((context, context.__enter__()))
            case {"advance": count, "note": note}:
                self._tasks[-1][1].advance(count, note)
            case {"task_ends": _}:
                self._tasks.pop()[0].__exit__(None, None, None)
            case {"log": message, "level": level, "name": name}:
                logging.getLogger(name).log(level, message)
            case _:
                return False
        return True

    def end(self) -> None:
        """Ends the tasks that the other process left open."""
        while self._tasks:
            self._tasks.pop()[0].__exit__(None, None, None)
