"""``vila2 run``: a recipe from its data to its report, or on from where it was stopped."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vila2.run.recipe import Recipe


def run(
    recipe: Annotated[
        Path, typer.Argument(help="The recipe, a YAML file; examples/ has some.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run's folder; by default the recipe's.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Check everything, show what would be done, do nothing.")
    ] = False,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="For example stages.sft.epochs=2.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Do a whole recipe: train, recaption, retrain, measure, report.

    Finished steps are never done again: a run that was stopped goes on with the same command, and a
    changed setting does again only what depends on it.
    """
    from vila2.cycle.rounds import run_recipe
    from vila2.run.progress import live_progress

    loaded = read_recipe(recipe, overrides or [])
    folder = out or Path(loaded.folder)
    _silence_bars_of_others()
    # Whatever a library prints on the way must not mix with the outcome.
    with contextlib.redirect_stdout(sys.stderr):
        outcome = run_recipe(loaded, folder, dry_run=dry_run, progress=live_progress(quiet=quiet))
    if dry_run:
        _print_plan(outcome, folder, as_json)
    else:
        _print_outcome(outcome, folder, as_json)


def read_recipe(path: Path, overrides: list[str]) -> Recipe:
    """A recipe, with the names of sources and prompts checked too."""
    from vila2.caption.prompts import PROMPTS
    from vila2.run.recipe_file import load_recipe
    from vila2.sources import source_names

    return load_recipe(path, overrides, known={"source": source_names(), "prompt": list(PROMPTS)})


def _silence_bars_of_others() -> None:
    from transformers.utils import logging

    # Its bars for loading and saving weights would tear our own apart.
    logging.disable_progress_bar()


def _print_outcome(outcome: Mapping[str, Any], folder: Path, as_json: bool) -> None:
    if as_json:
        shown = {"folder": str(folder), "report": outcome["report"], "summary": outcome["summary"]}
        typer.echo(json.dumps(shown, ensure_ascii=False))
        return
    from rich.console import Console

    console = Console()
    console.print(_table(outcome["summary"]["columns"], outcome["summary"]["rows"]))
    # Not through rich, which would break a long path over lines.
    typer.echo(f"report: {outcome['report']}")


def _print_plan(outcome: Mapping[str, Any], folder: Path, as_json: bool) -> None:
    steps = [{"name": s.name, "state": s.state, "folder": str(s.folder)} for s in outcome["plan"]]
    rest = {key: value for key, value in outcome.items() if key != "plan"}
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "plan": steps, **rest}, ensure_ascii=False))
        return
    from rich.console import Console

    console = Console()
    rows = [
        [step.name, step.state, step.folder.name.removeprefix(f"{step.name}-")] for step in outcome["plan"]
    ]
    console.print(_table(["step", "state", "digest"], rows))
    if rest.get("sizes"):
        rows = [[name, *map(str, sizes.values())] for name, sizes in rest["sizes"].items()]
        console.print(_table(["dataset", *next(iter(rest["sizes"].values()))], rows))
    for stage, sample in rest.get("samples", {}).items():
        typer.echo(
            f"\nstage {stage}: first sample of {sample['dataset']}, {sample['tokens']} tokens, "
            f"{sample['trained_tokens']} of them counted by the loss"
        )
        typer.echo(f"  the model reads  {_one_line(sample['text'])}")
        typer.echo(f"  the loss counts  {_one_line(sample['trained_text'])}")
    if rest.get("memory"):
        typer.echo("")
        purposes = list(next(iter(rest["memory"].values())))
        rows = [
            [stage, *(_size(sizes[purpose]) for purpose in purposes), _size(sum(sizes.values()))]
            for stage, sizes in rest["memory"].items()
        ]
        console.print(_table(["memory of a device", *purposes, "together"], rows))
    typer.echo(f"nothing was done; without --dry-run the run goes to {folder}")


def _table(columns: list[str], rows: list[list[Any]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    # Names come from the recipe: Text, so that brackets in them are not taken for markup.
    table = Table()
    for number, column in enumerate(columns):
        table.add_column(Text(str(column)), justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table


def _one_line(text: str, limit: int = 600) -> str:
    line = text.replace("\n", "⏎")
    return line if len(line) <= limit else f"{line[: limit // 2]} … {line[-limit // 2 :]}"


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
