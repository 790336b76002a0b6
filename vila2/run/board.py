"""The board: how far a command has come. One small state, shown by any number of displays."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from vila2.progress import Task

#: "partial": begun and stopped; it goes on. "kept": finished by an earlier command.
StepStanding = Literal["pending", "partial", "running", "done", "kept", "failed"]
#: Something that changed on a board: a task advanced, began or ended; a step began or ended.
BoardEvent = Literal["advance", "task", "task-end", "step", "step-end"]

# The rate covers the last half minute or so. So it follows a change of pace.
_MARKS = 60
_MARK_SECONDS = 0.5


class Display(Protocol):
    """Something that shows a :class:`Board`."""

    def refresh(self, board: Board, event: BoardEvent) -> None:
        """Shows the board as it is now.

        Args:
            board: board that changed.
            event: kind of the change.
        """


@dataclass(slots=True, eq=False)
class TaskState:
    """A task under way.

    Attributes:
        label: what is done.
        total: number of items to do; None where it is not known.
        done: number of items done.
        note: latest remark, such as a loss.
        started: time of the start, on the monotonic clock.
        marks: times and counts of the last half minute, which give the rate.
    """

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
        # The first mark comes after the first advance: on a resume that one leaps over finished work.
        if not self.marks or now - self.marks[-1][0] >= _MARK_SECONDS:
            self.marks.append((now, self.done))

    @property
    def seconds(self) -> float:
        """Seconds since the task began."""
        return time.monotonic() - self.started

    @property
    def rate(self) -> float | None:
        """Items per second, lately; None until it is known."""
        if not self.marks:
            return None
        seconds, done = time.monotonic() - self.marks[0][0], self.done - self.marks[0][1]
        return done / seconds if done > 0 and seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds left at the present rate; None where the rate or the total is not known."""
        if self.total is None or self.rate is None:
            return None
        return max(0, self.total - self.done) / self.rate


@dataclass(slots=True, eq=False)
class StepState:
    """A step and its standing.

    Attributes:
        name: name of the step.
        digest: digest of the step.
        state: standing of the step.
        seconds: time that it took; None before it is done.
        error: text of its error; empty where there is none.
    """

    name: str
    digest: str
    state: StepStanding = "pending"
    seconds: float | None = None
    error: str = ""


class Board:
    """The state of a command. It is the :class:`~vila2.progress.Progress` that the work reports to.

    Attributes:
        displays: what shows the board.
        steps: steps of the run, in order.
        tasks: tasks under way, innermost last.
        latest: step that changed last.
    """

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
        """The step that is running; None between two steps."""
        return next((step for step in self.steps if step.state == "running"), None)

    @property
    def finished_steps(self) -> int:
        """The number of steps that are done, by this command or an earlier one."""
        return sum(step.state in ("done", "kept") for step in self.steps)

    def stand(self, step: StepState, state: StepStanding) -> None:
        """Changes a step's standing."""
        step.state, self.latest = state, step
        self.changed("step" if state == "running" else "step-end")

    def changed(self, event: BoardEvent) -> None:
        """Tells the displays of a change."""
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
    """Writes a span of time for a reader: 0.4 s, 12 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
