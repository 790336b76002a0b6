"""``vila2 run``: runs a recipe from its data to its report, or continues a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vila2.cli.nodes import NodeRank, Nodes, NodeTimeout, Rendezvous, join, leading, node_place
from vila2.cli.options import (
    AsJson,
    DryRun,
    Quiet,
    Ray,
    RayWorkers,
    Verbose,
    chosen_cluster,
    quoted,
    results_alone,
)
from vila2.cli.tables import print_plan, show_table
from vila2.errors import RecipeError

if TYPE_CHECKING:
    from vila2.recipe.recipe import Recipe


def run(
    recipe: Annotated[
        Path,
        typer.Argument(help="Recipe, a YAML file, or builtin:miniature to try vila2.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the run; by default `output` of the recipe.")
    ] = None,
    dry_run: DryRun = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one key, for example stages.sft.epochs=2."),
    ] = None,
    controls: Annotated[
        list[str] | None,
        typer.Option(
            "--control",
            metavar="NAME",
            help="Also train this control, which could explain the gain as well: twice-sft, ...",
        ),
    ] = None,
    list_controls: Annotated[
        bool,
        typer.Option(
            "--list-controls", help="List the controls of this recipe and what each shows, but do nothing."
        ),
    ] = False,
    ray: Ray = None,
    workers: RayWorkers = None,
    nodes: Nodes = None,
    node_rank: NodeRank = None,
    rendezvous: Rendezvous = None,
    node_timeout: NodeTimeout = 300,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a whole recipe: train, recaption, retrain, measure, report.

    Finished steps are never repeated. The same command continues a run that was stopped, and after a change
    of a setting only the steps that depend on it are done again.
    """
    from vila2.api.recipes import read_recipe
    from vila2.cycle.improve import run_recipe
    from vila2.run.displays import live_progress

    loaded = read_recipe(recipe, overrides or [])
    if list_controls:
        _print_controls(loaded, as_json)
        return
    loaded = loaded.model_copy(update={"controls": (*loaded.controls, *(controls or ()))})
    if (cluster := chosen_cluster(ray, workers)) is not None:
        compute = loaded.compute.model_copy(update=cluster.model_dump(exclude_none=True, exclude={"cpus"}))
        loaded = loaded.model_copy(update={"compute": compute})
    folder = out or Path(loaded.folder)
    progress = live_progress(quiet=quiet)
    on_cluster = loaded.compute.ray is not None
    place = node_place(nodes, node_rank, rendezvous, node_timeout, dry_run=dry_run, on_cluster=on_cluster)
    if place is not None and place.rank:
        join(place, loaded, progress, as_json=as_json)
        return
    with results_alone(), leading(place):
        outcome = run_recipe(loaded, folder, dry_run=dry_run, progress=progress)
    if dry_run:
        print_plan(outcome, folder, as_json)
    else:
        _print_outcome(outcome, folder, as_json)


def _print_controls(recipe: Recipe, as_json: bool) -> None:
    from vila2.cycle.controls.catalog import controls_of

    rows = []
    for control in controls_of(recipe).values():
        row = {"name": control.name, "shows": control.shows, "hindered": None}
        try:
            control.applied_to(recipe)
        except RecipeError as error:
            row["hindered"] = error.what.removeprefix("controls: ")
        rows.append(row)
    if as_json:
        typer.echo(json.dumps({"controls": rows}, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(f"{row['name']}: {row['shows']}")
        if row["hindered"]:
            typer.echo(f"    not of this recipe: {row['hindered']}")


def _print_outcome(outcome: Mapping[str, Any], folder: Path, as_json: bool) -> None:
    if as_json:
        found = {name: outcome["results"][name] for name in ("gains", "best", "merge")}
        shown = {name: outcome[name] for name in ("report", "summary", "told")}
        models = {"model": str(outcome["model"]["folder"]), "model_name": outcome["model"]["name"]}
        models["models"] = {name: str(path) for name, path in outcome["models"].items()}
        layers = {name: str(path) for name, path in outcome["layers"].items()}
        datasets = {name: str(path) for name, path in outcome["datasets"].items()}
        shown = {"folder": str(folder), **models, "datasets": datasets, "layers": layers, **shown, **found}
        typer.echo(json.dumps(shown, ensure_ascii=False))
        return
    show_table(outcome["summary"]["columns"], outcome["summary"]["rows"])
    for sentence in outcome["told"]:
        typer.echo(sentence)
    typer.echo(f"report: {quoted(outcome['report'])}")
    typer.echo(f"model:  {quoted(outcome['model']['folder'])} ({outcome['model']['name']})")
    typer.echo(f"next:   vila2 recaption PHOTOS --model {quoted(folder)}")
