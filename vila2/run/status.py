"""How a run stands, read from its folder while it runs or afterwards."""

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
    """A step: "done", "running", "partial" (begun, goes on when the run is started again), "failed", "pending".

    Attributes:
        pruned: its model was deleted once nothing needed it any more (``keep`` of the recipe).
    """

    name: str
    digest: str
    state: str
    seconds: float | None
    error: str = ""
    pruned: bool = False


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """What is under way within a step."""

    label: str
    done: int
    total: int | None
    note: str
    rate: float | None
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How a run stands.

    Attributes:
        folder: of the run.
        state: "stopped" also of a run that was killed.
        killed: whether it ended without a word: killed, out of memory, or the machine went down.
        pid: of the process that runs it, None where none does.
        steps: of the newest recipe, in order.
        tasks: under way, innermost last; as of ``age`` seconds ago.
        error: of the run, where it failed.
        report: path of the report, where there is one.
        superseded: step folders of earlier settings, which no longer count.
        model: path of the model that the run was done for, where there is one.
        note: what can not be told, and why: progress.json is damaged.
        listed: whether ``steps`` are those of the newest recipe; else nothing tells, and they are all that lie on disk.
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
        """A JSON-able form."""
        return asdict(self)


def status(folder: str | Path) -> RunStatus:
    """How the run in ``folder`` stands.

    Raises:
        RunError: the folder holds no run.
    """
    folder = Path(folder)
    if not (folder / "steps").is_dir() and not is_begun(folder):
        near = nearest_path(folder)
        named = (
            f"did you mean {near}?"
            if near
            else "give the folder that `vila2 run` named, such as runs/miniature"
        )
        raise RunError(f"{folder} holds no run", hint=named)
    pid = holder_of(folder)
    data, note = _read_progress(folder / "progress.json")
    steps = tuple(_step_status(folder, row, running=pid is not None) for row in _rows(data, "steps", _STEP))
    on_disk, listed = _step_folders(folder), bool(steps)
    if not steps:  # nothing tells which there are but what lies there
        steps = tuple(map(_step_on_disk, on_disk))
    known = {step_folder(folder, step.name, step.digest) for step in steps}
    told = data.get("state")
    state: RunStanding = next((one for one in _STANDINGS if one == told), "stopped")
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
        killed=pid is None and told not in ("finished", "failed", "stopped"),
        model=str(link) if os.path.lexists(link) else None,
        note=note,
        listed=listed,
    )


def recipe_steps(run: Path) -> tuple[StepStatus, ...]:
    """The steps of a run's newest recipe, in order; none where none was begun.

    Raises:
        RunError: nothing tells which of the steps on disk are those.
    """
    found = status(run)
    if found.steps and not found.listed:
        raise RunError(
            f"{run}: nothing tells which steps are those of its recipe"
            + (f" ({found.note})" if found.note else ""),
            hint="give its `vila2 run` command again: it does nothing twice, and writes it anew",
        )
    return found.steps


_STEP = ("name", "digest", "state")


def is_begun(folder: Path) -> bool:
    """Whether a run was begun there, though it was stopped before its first step."""
    return (folder / "progress.json").is_file() or (
        (folder / "recipe.yaml").is_file() and (folder / "lock").is_file()
    )


def _step_folders(run: Path) -> list[Path]:
    steps = run / "steps"
    return sorted(path for path in steps.iterdir() if path.is_dir()) if steps.is_dir() else []


def _read_progress(path: Path) -> tuple[Mapping[str, Any], str]:
    """What the file says, and why it says nothing where it does."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, ""
    except (ValueError, OSError) as error:
        return {}, f"{path} can not be read ({error}); the next `vila2 run` writes it anew"
    if not isinstance(found, dict):
        return {}, f"{path} says nothing of a run; the next `vila2 run` writes it anew"
    return found, ""


def _rows(data: Mapping[str, Any], name: str, fields: Sequence[str]) -> list[Mapping[str, Any]]:
    """The rows of a list that are whole."""
    rows = data.get(name)
    return [
        row
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and all(field in row for field in fields)
    ]


def _step_status(run: Path, row: Mapping[str, Any], *, running: bool) -> StepStatus:
    """A step by what lies on disk, which is newer than the progress file where a run was killed."""
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
    with suppress(RunError):  # said below
        digest = (read_done(folder) or {}).get("digest", digest)
    return _step_status(
        folder.parent.parent, {"name": name, "digest": digest, "state": "pending"}, running=False
    )


def _task_status(row: Mapping[str, Any]) -> TaskStatus:
    return TaskStatus(**{name: row[name] for name in TaskStatus.__slots__})
