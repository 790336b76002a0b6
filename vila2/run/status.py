"""How a run stands, read from its folder while it runs or afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vila2.errors import RunError
from vila2.run.lock import holder_of
from vila2.run.step_files import read_done, step_folder

RunStanding = Literal["running", "finished", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class StepStatus:
    """A step: "done", "running", "partial" (begun, goes on when the run is started again), "failed", "pending"."""

    name: str
    digest: str
    state: str
    seconds: float | None
    error: str = ""


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
        pid: of the process that runs it, None where none does.
        steps: of the newest recipe, in order.
        tasks: under way, innermost last; as of ``age`` seconds ago.
        error: of the run, where it failed.
        report: path of the report, where there is one.
        superseded: step folders of earlier settings, which no longer count.
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

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form."""
        return asdict(self)


def status(folder: str | Path) -> RunStatus:
    """How the run in ``folder`` stands.

    Raises:
        RunError: the folder holds no run.
    """
    folder = Path(folder)
    if not (folder / "steps").is_dir():
        raise RunError(
            f"{folder} holds no run", mend="give the folder that `vila2 run` named, such as runs/miniature"
        )
    pid = holder_of(folder)
    data = _read_progress(folder / "progress.json")
    on_disk = sorted(path for path in (folder / "steps").iterdir() if path.is_dir())
    steps = tuple(_step_status(folder, row, running=pid is not None) for row in data.get("steps", ()))
    known = {step_folder(folder, step.name, step.digest) for step in steps}
    state = "running" if pid is not None else data.get("state", "stopped")
    report = folder / "report.html"
    return RunStatus(
        folder=str(folder),
        state="stopped" if state == "running" and pid is None else state,
        pid=pid,
        steps=steps,
        tasks=tuple(_task_status(row) for row in data.get("tasks", ())) if pid is not None else (),
        age=max(0.0, time.time() - data.get("updated", time.time())),
        error=data.get("error", "") if pid is None else "",
        report=str(report) if report.is_file() else None,
        superseded=sum(path not in known for path in on_disk),
    )


def _read_progress(path: Path) -> Mapping[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise RunError(
            f"{path} is damaged ({error})", mend="delete it; the next `vila2 run` writes it anew"
        ) from error


def _step_status(run: Path, row: Mapping[str, Any], *, running: bool) -> StepStatus:
    """A step by what lies on disk, which is newer than the progress file where a run was killed."""
    folder = step_folder(run, row["name"], row["digest"])
    shown = StepStatus(row["name"], row["digest"], "pending", None)
    done = read_done(folder, row["digest"])
    if done:
        return replace(shown, state="done", seconds=done["seconds"])
    error = folder / "error.txt"
    if running and row["state"] == "running":
        return replace(shown, state="running")
    if error.is_file():
        return replace(shown, state="failed", error=error.read_text(encoding="utf-8").strip())
    return replace(shown, state="partial" if folder.is_dir() else "pending")


def _task_status(row: Mapping[str, Any]) -> TaskStatus:
    return TaskStatus(**{name: row[name] for name in TaskStatus.__slots__})
