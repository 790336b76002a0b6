"""``vila2 status``: the progress of a run, or of a dataset's layers, from any terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vila2.cli.options import AsJson, quoted

if TYPE_CHECKING:
    from vila2.caption.layer_status import LayerStanding
    from vila2.run.status import RunStatus, StepStatus, TaskStatus


def status(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN_OR_DATASET",
            help="Folder of the run, or of a dataset with layers.",
            show_default=False,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show the steps of a run, its current task and its last error; or how far a dataset's layers are."""
    from vila2.run.status import status as read_status

    if (run / "dataset.json").is_file():
        from vila2.caption.layer_status import layer_standings
        from vila2.run.finding import find_described

        layers = layer_standings(*find_described(run))
        told = [layer.to_json() for layer in layers]
        typer.echo(json.dumps({"layers": told}, ensure_ascii=False) if as_json else layers_text(layers))
        return
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


def layers_text(layers: Sequence[LayerStanding]) -> str:
    """How far layers are, as text."""
    from vila2.run.board import duration

    lines = []
    for layer in layers:
        line = f"{layer.name}: {layer.state}, {layer.done:,} of {layer.shards:,} shards done"
        line += f", {layer.begun:,} begun" if layer.begun else ""
        lines.append(line if layer.seconds_left is None else f"{line}, {duration(layer.seconds_left)} left")
        for one in layer.workers:
            rate = f", {one.images / one.seconds:.1f} images/s" if one.images and one.seconds else ""
            state = "works" if one.works else "has ended"
            lines.append(
                f"  part {one.part} on {one.host}, process {one.pid}: {state}, {one.shards} shards{rate}"
            )
    return "\n".join(lines) or "no layers yet; `vila2 recaption` and `vila2 annotate` write them"


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
