"""``vila2 status``: the progress of a run, from any terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vila2.cli.options import AsJson, quoted

if TYPE_CHECKING:
    from vila2.run.status import RunStatus, StepStatus, TaskStatus


def status(
    run: Annotated[Path, typer.Argument(help="Folder of the run.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Show the steps of a run, its current task and its last error."""
    from vila2.run.status import status as read_status

    found = read_status(run)
    typer.echo(json.dumps(found.to_json(), ensure_ascii=False) if as_json else as_text(found))


def as_text(found: RunStatus) -> str:
    """The status of a run as text."""
    done = sum(step.state == "done" for step in found.steps)
    holder = f" by process {found.pid}" if found.pid else ""
    lines = [f"{quoted(found.folder)}: {found.state}{holder}, {done} of {len(found.steps)} steps done"]
    if found.killed:
        lines[0] += " (its process ended without a message: killed, out of memory, or the machine stopped)"
    if found.note:
        lines.append(f"note: {found.note}")
    width = max((len(step.name) for step in found.steps), default=0)
    lines += [f"  {step.name:<{width}}  {_standing(step)}" for step in found.steps]
    lines += [f"now  {_task(task)}" for task in found.tasks]
    if found.tasks and found.age > 60:
        lines.append(f"     (no news for {found.age:.0f} s)")
    failed = [step for step in found.steps if step.state == "failed"]
    lines += [f"error in {step.name}: {step.error}" for step in failed]
    if found.error and not failed:
        lines.append(f"error: {found.error}")
    if found.superseded:
        lines.append(
            f"{found.superseded} step folders of earlier settings lie in {quoted(found.folder + '/steps')}"
        )
    if found.report:
        earlier = "" if found.state == "finished" else " of an earlier run"
        lines.append(f"report{earlier}: {quoted(found.report)}")
    if found.model:
        earlier = "" if found.state == "finished" else " of an earlier run"
        lines.append(f"model{earlier}: {quoted(found.model)}")
    if found.state in ("failed", "stopped"):
        lines.append("give the same `vila2 run` command again to go on")
    return "\n".join(lines)


def _standing(step: StepStatus) -> str:
    from vila2.run.board import duration

    if step.state == "done":
        return f"done in {duration(step.seconds or 0)}" + (", its model pruned" if step.pruned else "")
    return {"partial": "begun, goes on when run again", "pending": "to do"}.get(step.state, step.state)


def _task(task: TaskStatus) -> str:
    from vila2.run.board import duration

    line = f"{task.label}: {task.done:,}" + (f" of {task.total:,}" if task.total else "")
    if task.rate:
        line += f", {task.rate:.1f}/s" if task.rate >= 1 else f", {1 / task.rate:.1f} s each"
    if task.seconds_left is not None:
        line += f", {duration(task.seconds_left)} left"
    return line + (f", {task.note}" if task.note else "")
