"""The protocols through which long work reports its progress."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Counts more units as done.

        Args:
            n: number of units.
            note: text shown beside the count, such as a loss or the name of a shard.
        """


class Progress(Protocol):
    """The receiver of a job's progress."""

    def task(self, label: str, total: int | None = None) -> AbstractContextManager[Task]:
        """Opens a task for the length of a ``with`` block.

        Args:
            label: name of the task, as people see it.
            total: number of units; None where it is not known.
        """


class Silent:
    """A progress that shows nothing; it is its own task."""

    def task(self, label: str, total: int | None = None) -> AbstractContextManager[Task]:
        """Opens a task that shows nothing."""
        return nullcontext(self)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Counts nothing."""
