"""The status of a run, read from its folder while it runs or afterwards."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from vila2.errors import RunError
from vila2.nearest import nearest_path
from vila2.run.lock import holder_of
from vila2.run.run_model import LINK
from vila2.run.step_files import PRUNED, read_done, step_folder

RunStanding = Literal["running", "finished", "failed", "stopped"]
_STANDINGS: tuple[RunStanding, ...] = get_args(RunStanding)


@dataclass(frozen=True, slots=True)
class StepStatus:
    """The status of a step.

    Attributes:
        name: name of the step.
        digest: digest of the step.
        state: "done", "running", "partial" (begun; it goes on when the run is started again), "failed" or
            "pending".
        seconds: time that it took; None before it is done.
        error: text of its error; empty where there is none.
        pruned: whether its model was deleted because nothing needed it any more (``keep`` of the recipe).
    """

    name: str
    digest: str
    state: Literal["done", "running", "partial", "failed", "pending"]
    seconds: float | None
    error: str = ""
    pruned: bool = False


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """A task under way within a step.

    Attributes:
        label: what is done.
        done: number of items done.
        total: number of items to do; None where it is not known.
        note: latest remark, such as a loss.
        rate: items per second; None where it is not known.
        seconds_left: time left at this rate; None where it is not known.
    """

    label: str
    done: int
    total: int | None
    note: str
    rate: float | None
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The status of a run.

    Attributes:
        folder: folder of the run.
        state: standing of the run; "stopped" also where it was killed.
        pid: id of the process that runs it; None where none does.
        steps: steps of the newest recipe, in order.
        tasks: tasks under way, innermost last, as they stood ``age`` seconds ago.
        age: seconds since the run last wrote its progress.
        error: text of the error, where the run failed.
        report: path of the report, where there is one.
        superseded: number of step folders that belong to earlier settings and no longer count.
        killed: whether it ended without a word: it was killed, ran out of memory, or the machine went down.
        model: path of the run's final model, where there is one.
        note: problem that hides a part of the status, such as a damaged progress.json.
        listed: whether ``steps`` are the newest recipe's; else they are all that lie on disk.
    """

    folder: str
    state: RunStanding
    pid: int | None
    steps: tuple[StepStatus, ...]
    tasks: tuple[TaskStatus, ...]
    age: float
    error: str
    report: str | None
    superseded: int
    killed: bool = False
    model: str | None = None
    note: str = ""
    listed: bool = True

    def to_json(self) -> dict[str, Any]:
        """Returns the status as plain values."""
        return asdict(self)


def status(folder: str | Path) -> RunStatus:
    """Reads the status of the run in ``folder``.

    Raises:
        RunError: the folder holds no run.
    """
    folder = Path(folder)
    if not (folder / "steps").is_dir() and not is_begun(folder):
        near = nearest_path(folder)
        hint = (
            f"did you mean {near}?"
            if near
            else "give the folder that `vila2 run` named, such as runs/miniature"
        )
        raise RunError(f"{folder} holds no run", hint=hint)
    pid = holder_of(folder)
    data, note = _read_progress(folder / "progress.json")
    steps = tuple(_step_status(folder, row, running=pid is not None) for row in _rows(data, "steps", _STEP))
    on_disk, listed = _step_folders(folder), bool(steps)
    if not steps:  # no list of steps is left, only the folders on disk
        steps = tuple(map(_step_on_disk, on_disk))
    known = {step_folder(folder, step.name, step.digest) for step in steps}
    written = data.get("state")
    state: RunStanding = next((one for one in _STANDINGS if one == written), "stopped")
    updated = data.get("updated")
    report, link = folder / "report.html", folder / LINK
    return RunStatus(
        folder=str(folder),
        state="running" if pid is not None else "stopped" if state == "running" else state,
        pid=pid,
        steps=steps,
        tasks=tuple(_task_status(row) for row in _rows(data, "tasks", TaskStatus.__slots__))
        if pid is not None
        else (),
        age=max(0.0, time.time() - updated) if isinstance(updated, int | float) else 0.0,
        error=str(data.get("error") or "") if pid is None else "",
        report=str(report) if report.is_file() else None,
        superseded=sum(path not in known for path in on_disk),
        killed=pid is None and written not in ("finished", "failed", "stopped"),
        model=str(link) if os.path.lexists(link) else None,
        note=note,
        listed=listed,
    )


def recipe_steps(run: Path) -> tuple[StepStatus, ...]:
    """Reads the steps of a run's newest recipe, in order; none where none was begun.

    Raises:
        RunError: the list of steps is lost, so that nothing tells which of the folders on disk belong to the
            recipe.
    """
    found = status(run)
    if found.steps and not found.listed:
        raise RunError(
            f"{run}: nothing tells which steps belong to its recipe"
            + (f" ({found.note})" if found.note else ""),
            hint="give its `vila2 run` command again: it does nothing twice, and writes the list anew",
        )
    return found.steps


_STEP = ("name", "digest", "state")


def is_begun(folder: Path) -> bool:
    """Tells whether a run was begun in a folder, even if it was stopped before its first step."""
    return (folder / "progress.json").is_file() or (
        (folder / "recipe.yaml").is_file() and (folder / "lock").is_file()
    )


def _step_folders(run: Path) -> list[Path]:
    steps = run / "steps"
    return sorted(path for path in steps.iterdir() if path.is_dir()) if steps.is_dir() else []


def _read_progress(path: Path) -> tuple[Mapping[str, Any], str]:
    """Reads progress.json.

    Returns:
        The content, and the reason where there is none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, ""
    except (ValueError, RecursionError, OSError) as error:
        return {}, f"{path} cannot be read ({error}); the next `vila2 run` writes it anew"
    if not isinstance(found, dict):
        return {}, f"{path} does not describe a run; the next `vila2 run` writes it anew"
    return found, ""


def _rows(data: Mapping[str, Any], name: str, fields: Sequence[str]) -> list[Mapping[str, Any]]:
    """Returns the rows of a list that have all fields."""
    rows = data.get(name)
    return [
        row
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and all(field in row for field in fields)
    ]


def _step_status(run: Path, row: Mapping[str, Any], *, running: bool) -> StepStatus:
    """Reads a step's status from disk, which is newer than the progress file where a run was killed."""
    folder = step_folder(run, row["name"], row["digest"])
    shown = StepStatus(row["name"], row["digest"], "pending", None)
    try:
        done = read_done(folder, row["digest"])
    except RunError as damaged:
        return replace(shown, state="failed", error=str(damaged))
    if done:
        return replace(shown, state="done", seconds=done.get("seconds"), pruned=(folder / PRUNED).is_file())
    error = folder / "error.txt"
    if running and row["state"] == "running":
        return replace(shown, state="running")
    if error.is_file():
        return replace(
            shown, state="failed", error=error.read_text(encoding="utf-8", errors="replace").strip()
        )
    return replace(shown, state="partial" if folder.is_dir() else "pending")


def _step_on_disk(folder: Path) -> StepStatus:
    name, _, digest = folder.name.rpartition("-")
    with suppress(RunError):  # the status below says what is wrong
        if done := read_done(folder):
            digest = done.get("digest", digest)
    return _step_status(
        folder.parent.parent, {"name": name, "digest": digest, "state": "pending"}, running=False
    )


def _task_status(row: Mapping[str, Any]) -> TaskStatus:
    return TaskStatus(**{name: row[name] for name in TaskStatus.__slots__})
