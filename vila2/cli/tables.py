"""Tables on the terminal, and the plan that a dry run shows."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vila2.cli.amounts import byte_size, one_line
from vila2.cli.options import quoted
from vila2.cli.specialist_tables import print_specialist

if TYPE_CHECKING:
    from vila2.cycle.preflight.disk_need import DiskNeed

#: Number of columns that no table is wider than.
_WIDEST = 100_000
#: Number of characters of a cell that is never broken, at most.
_SHORT = 16
_LEFT_OUT_SHOWN = 3


def print_plan(outcome: Mapping[str, Any], folder: Path, as_json: bool) -> None:
    """Prints the result of a dry run: steps, a sample of every stage, memory and disk space."""
    steps = [{"name": s.name, "state": s.state, "folder": str(s.folder)} for s in outcome["plan"]]
    rest = {key: value for key, value in outcome.items() if key != "plan"}
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "plan": steps, **rest}, ensure_ascii=False))
        return
    rows = [
        [step.name, step.state, step.folder.name.removeprefix(f"{step.name}-")] for step in outcome["plan"]
    ]
    show_table(["step", "state", "digest"], rows)
    if rest.get("sizes"):
        rows = [[name, *map(str, sizes.values())] for name, sizes in rest["sizes"].items()]
        show_table(["dataset", *next(iter(rest["sizes"].values()))], rows)
    for stage, sample in rest.get("samples", {}).items():
        typer.echo(
            f"\nstage {stage}: first sample of {sample['dataset']}, {sample['tokens']} tokens, "
            f"{sample['trained_tokens']} of them counted by the loss"
        )
        typer.echo(f"  the model reads  {one_line(sample['text'])}")
        typer.echo(f"  the loss counts  {one_line(sample['trained_text'])}")
        if apart := sample.get("taken_apart"):
            first = f", {apart['first']} of the first sample" if apart["first"] > 1 else ""
            typer.echo(f"  each branch of a tree becomes a sample of its own{first}: {apart['why']}")
        for line in _left_out_lines(sample.get("left_out", {})):
            typer.echo(line)
    if rest.get("memory"):
        typer.echo("")
        purposes = list(next(iter(rest["memory"].values())))
        rows = [
            [stage, *(byte_size(sizes[purpose]) for purpose in purposes), _together(sizes.values())]
            for stage, sizes in rest["memory"].items()
        ]
        show_table(["memory of a device", *purposes, "together"], rows)
    if rest.get("disk"):
        _print_disk(rest["disk"])
    if rest.get("specialist"):
        print_specialist(rest["specialist"]["name"], rest["specialist"])
    for name, found in rest.get("specialists", {}).items():
        print_specialist(name, found)
    typer.echo(f"nothing was done; without --dry-run the run goes to {quoted(folder)}")


def _print_disk(disk: DiskNeed) -> None:
    """Prints how much the run will write, and warns if the disk is too small."""
    kinds = [f"{disk['models']} models of {byte_size(disk['model'])} ({disk['staying']} stay: keep)"]
    if disk["checkpoints"]:
        kinds.append(f"checkpoints of a stage under way {byte_size(disk['checkpoints'])}")
    known = {name: size for name, size in disk["datasets"].items() if size is not None}
    if known:
        kinds.append(f"datasets {byte_size(sum(known.values()))}")
    unknown = [name for name in disk["datasets"] if name not in known]
    if unknown:
        kinds.append(f"{', '.join(unknown)} of unknown size")
    typer.echo(
        f"disk: at most {byte_size(disk['needed'])} more: {'; '.join(kinds)}; "
        f"{byte_size(disk['free'])} are free"
    )
    if disk["needed"] > disk["free"]:
        typer.echo(
            "warning: the disk is too small; make room, give --out on another disk, or write keep: best in "
            "the recipe, which deletes models that nothing starts from any more",
            err=True,
        )


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, err: bool = False) -> None:
    """Prints a table; on a narrow terminal it is as narrow as possible, elsewhere as wide as its content.

    Nothing is cut off. If a table is still too wide, the terminal breaks its lines.
    """
    from rich.console import Console
    from rich.measure import Measurement

    shown = table(list(columns), [list(row) for row in rows])
    console = Console(stderr=err)
    width = Measurement.get(console, console.options.update(width=_WIDEST, max_width=_WIDEST), shown)
    console.width = max(console.width, width.minimum) if console.is_terminal else width.maximum
    console.print(shown)


def _left_out_lines(left_out: Mapping[str, Any]) -> list[str]:
    """The first samples that a stage leaves out, with the reasons, as lines."""
    lines = []
    for dataset, found in left_out.items():
        rows = found["left_out"]
        lines.append(
            f"  left out         {len(rows)} of the first {found['looked_at']} samples of {dataset}:"
        )
        lines += [f"    {row['key']}: {one_line(row['reason'])}" for row in rows[:_LEFT_OUT_SHOWN]]
        if len(rows) > _LEFT_OUT_SHOWN:
            lines.append(f"    and {len(rows) - _LEFT_OUT_SHOWN} more")
    return lines


def table(columns: list[str], rows: list[list[Any]]) -> Any:
    """A table for the terminal, with its first column aligned to the left."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    # Names come from the recipe. As Text, their brackets are not read as markup.
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        heading = str(column)
        widest = max((len(str(row[number])) for row in rows), default=0)
        # Numbers stay on one line; on a narrow terminal the first column wraps.
        short = number > 0 and widest <= _SHORT
        if short:
            heading = "\n".join(textwrap.wrap(heading, max(widest, *map(len, heading.split()), 1)))
        table.add_column(
            Text(heading),
            justify="left" if number == 0 else "right",
            overflow="fold",
            no_wrap=short,
            min_width=widest if short else None,
        )
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table


def _together(sizes: Collection[float | None]) -> str:
    """The sum of sizes; "over" the sum of the known ones if one is unknown."""
    known = [size for size in sizes if size is not None]
    return ("" if len(known) == len(sizes) else "over ") + byte_size(sum(known))
