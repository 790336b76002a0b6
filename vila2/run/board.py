"""How far a command has come: one small state, shown by any number of displays."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from vila2.progress import Task

StepStanding = Literal["pending", "partial", "running", "done", "kept", "failed"]

# The rate is that of the last half minute or so, so that it follows a change of pace.
_MARKS = 60
_MARK_SECONDS = 0.5


class Display(Protocol):
    """Something that shows a :class:`Board`."""

    def refresh(self, board: Board, event: str) -> None:
        """Called at every change; ``event`` is "advance", "task", "task-end", "step" or "step-end"."""


@dataclass(slots=True, eq=False)
class TaskState:
    """A task's figures."""

    label: str
    total: int | None
    done: int = 0
    note: str = ""
    started: float = field(default_factory=lambda: time.monotonic())
    marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_MARKS))

    def count(self, n: int, note: str) -> None:
        """Counts ``n`` more as done."""
        self.done += n
        self.note = note or self.note
        now = time.monotonic()
        # The first mark comes after the first advance, which on a resume is a leap over finished work.
        if not self.marks or now - self.marks[-1][0] >= _MARK_SECONDS:
            self.marks.append((now, self.done))

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.started

    @property
    def rate(self) -> float | None:
        """Per second, lately; None as long as nothing is known."""
        if not self.marks:
            return None
        seconds, done = time.monotonic() - self.marks[0][0], self.done - self.marks[0][1]
        return done / seconds if done > 0 and seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """At the present rate; None where that or the total is not known."""
        if self.total is None or self.rate is None:
            return None
        return max(0, self.total - self.done) / self.rate


@dataclass(slots=True, eq=False)
class StepState:
    """A step's standing."""

    name: str
    digest: str
    state: StepStanding = "pending"
    seconds: float | None = None
    error: str = ""


class Board:
    """The state of a command: its steps, and the tasks under way, innermost last."""

    def __init__(self, displays: Sequence[Display] = ()) -> None:
        self.displays = list(displays)
        self.steps: list[StepState] = []
        self.tasks: list[TaskState] = []
        self.latest: StepState | None = None

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Task]:
        """Shows a task for as long as the block lasts."""
        state = TaskState(label, total)
        self.tasks.append(state)
        self.changed("task")
        try:
            yield _TaskHandle(self, state)
        finally:
            self.changed("task-end")
            self.tasks.remove(state)

    @property
    def step(self) -> StepState | None:
        """The step that is running."""
        return next((step for step in self.steps if step.state == "running"), None)

    @property
    def finished_steps(self) -> int:
        """How many steps are done, now or by an earlier run."""
        return sum(step.state in ("done", "kept") for step in self.steps)

    def stand(self, step: StepState, state: StepStanding) -> None:
        """A step's standing changes."""
        step.state, self.latest = state, step
        self.changed("step" if state == "running" else "step-end")

    def changed(self, event: str) -> None:
        """Tells the displays."""
        for display in self.displays:
            display.refresh(self, event)


@dataclass(frozen=True, slots=True)
class _TaskHandle:
    board: Board
    state: TaskState

    def advance(self, n: int = 1, note: str = "") -> None:
        self.state.count(n, note)
        self.board.changed("advance")


def duration(seconds: float) -> str:
    """A span of time for a reader: 0.4 s, 12 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
