"""What long work reports its progress to."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Task(Protocol):
    """One thing under way."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Counts ``n`` more as done; ``note`` is shown beside it (a loss, a shard's name)."""


class Progress(Protocol):
    """What jobs report to."""

    def task(self, label: str, total: int | None = None) -> AbstractContextManager[Task]:
        """A context manager giving a :class:`Task`; ``total`` is None where it is not known."""


class Silent:
    """A progress, and its task, that show nothing."""

    def task(self, label: str, total: int | None = None) -> AbstractContextManager[Task]:
        """Shows nothing for as long as the block lasts."""
        return nullcontext(self)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Counts nothing."""
