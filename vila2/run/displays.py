"""Displays of a board: bars on a terminal, lines in a log, a file for `vila2 status`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from vila2.data.atomic import write_json_atomic
from vila2.run.board import Board, BoardEvent, StepState, TaskState, duration

_FILE_SECONDS = 0.5
_LINE_SECONDS = 10.0


class LinesDisplay:
    """Writes a line when a step begins or ends, and at most one every ten seconds for a task."""

    def __init__(self, stream: TextIO, *, every: float = _LINE_SECONDS) -> None:
        self.stream, self.every = stream, every
        self.last_lines: dict[int, float] = {}

    def refresh(self, board: Board, event: BoardEvent) -> None:
        if event in ("step", "step-end"):
            line = step_line(board)
            if line:
                self._write(line)
        elif board.tasks:
            self._refresh_task(board, board.tasks[-1], event)

    def _refresh_task(self, board: Board, task: TaskState, event: BoardEvent) -> None:
        now = time.monotonic()
        if event == "task":
            self.last_lines[id(task)] = now
        elif event == "task-end":
            self.last_lines.pop(id(task), None)
            if board.step is None:
                self._write(f"{task.label}: {_amount(task)} in {duration(task.seconds)}")
        elif now - self.last_lines.get(id(task), now) >= self.every:
            self.last_lines[id(task)] = now
            self._write(f"{'  ' if board.step else ''}{task_line(task)}")

    def _write(self, line: str) -> None:
        self.stream.write(line + "\n")
        self.stream.flush()


class BarsDisplay:
    """Draws bars with rate and time left. Each step leaves a line behind when it ends."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.bars: Any = None
        self.shown: dict[int, Any] = {}

    def refresh(self, board: Board, event: BoardEvent) -> None:
        if event in ("step", "step-end"):
            self._refresh_steps(board, event)
        elif board.tasks:
            self._refresh_task(board.tasks[-1], event)
        if board.step is None and not self._open_tasks(board, event):
            self._stop()

    def _refresh_steps(self, board: Board, event: BoardEvent) -> None:
        bars = self._start()
        if event == "step-end" and (line := step_line(board)):
            bars.console.print(line, highlight=False, markup=False)
        step = board.step
        label = f"steps {board.finished_steps}/{len(board.steps)}" + (f"  {step.name}" if step else "")
        if 0 not in self.shown:
            self.shown[0] = bars.add_task(label, total=len(board.steps), figures="")
        bars.update(self.shown[0], description=label, completed=board.finished_steps, total=len(board.steps))

    def _refresh_task(self, task: TaskState, event: BoardEvent) -> None:
        bars = self._start()
        if event == "task-end":
            if id(task) in self.shown:
                bars.remove_task(self.shown.pop(id(task)))
            return
        if id(task) not in self.shown:
            self.shown[id(task)] = bars.add_task(task.label, total=task.total, figures="")
        bars.update(self.shown[id(task)], completed=task.done, figures=_figures(task))

    def _open_tasks(self, board: Board, event: BoardEvent) -> bool:
        return len(board.tasks) > (event == "task-end")

    def _start(self) -> Any:
        if self.bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self.bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}", markup=False),
                console=Console(file=self.stream),
                transient=True,
            )
            self.bars.start()
        return self.bars

    def _stop(self) -> None:
        if self.bars is not None:
            self.bars.stop()
            self.bars, self.shown = None, {}


class FileDisplay:
    """Keeps ``progress.json`` of a run up to date, at most twice a second. `vila2 status` reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = "running"
        self.error = ""
        self.last_write = 0.0

    def refresh(self, board: Board, event: BoardEvent) -> None:
        if event in ("step", "step-end") or time.monotonic() - self.last_write >= _FILE_SECONDS:
            self.write(board)

    def write(self, board: Board) -> None:
        """Writes the board as it is now."""
        self.last_write = time.monotonic()
        data = {
            "state": self.state,
            "error": self.error,
            "pid": os.getpid(),
            "updated": time.time(),
            "steps": [_step_json(step) for step in board.steps],
            "tasks": [_task_json(task) for task in board.tasks],
        }
        write_json_atomic(self.path, data, durable=False)


def step_line(board: Board) -> str:
    """Returns a line about the step that changed last; empty where none did."""
    step = board.latest
    if step is None:
        return ""
    number = f"[{board.steps.index(step) + 1}/{len(board.steps)}]"
    match step.state:
        case "done":
            return f"{number} {step.name}: done in {duration(step.seconds or 0)}"
        case "kept":
            return f"{number} {step.name}: finished earlier, kept"
        case "failed":
            return f"{number} {step.name}: failed"
    return f"{number} {step.name}"


def task_line(task: TaskState) -> str:
    """Returns a line about a task."""
    figures = _figures(task)
    return f"{task.label}: {_amount(task)}" + (f"  {figures}" if figures else "")


def _amount(task: TaskState) -> str:
    if not task.total:
        return f"{task.done:,}"
    return f"{task.done:,}/{task.total:,} ({100 * task.done // task.total}%)"


def _figures(task: TaskState) -> str:
    parts = []
    if task.rate is not None:
        parts.append(f"{task.rate:.1f}/s" if task.rate >= 1 else f"{1 / task.rate:.1f} s each")
    if task.seconds_left is not None:
        parts.append(f"{duration(task.seconds_left)} left")
    return "  ".join([*parts, task.note] if task.note else parts)


def _step_json(step: StepState) -> dict[str, Any]:
    return {
        "name": step.name,
        "digest": step.digest,
        "state": step.state,
        "seconds": step.seconds,
        "error": step.error,
    }


def _task_json(task: TaskState) -> dict[str, Any]:
    return {
        "label": task.label,
        "done": task.done,
        "total": task.total,
        "note": task.note,
        "seconds": task.seconds,
        "rate": task.rate,
        "seconds_left": task.seconds_left,
    }


def live_progress(*, quiet: bool = False, stream: TextIO | None = None) -> Board:
    """Makes a board that shows itself: live bars on a terminal, else a plain line now and then.

    Args:
        quiet: whether to show nothing.
        stream: stream to write to; by default standard error, so that standard output holds results only.
    """
    stream = stream or sys.stderr
    if quiet:
        return Board()
    lively = stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")
    return Board([BarsDisplay(stream) if lively else LinesDisplay(stream)])
