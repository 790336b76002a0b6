"""``vila2 annotate``: lets a specialist annotate the images of a run's dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vila2.cli.options import AsJson, EngineName, Quiet, RunDataset, Verbose, quoted, results_alone

if TYPE_CHECKING:
    from vila2.specialist.annotating import LayerSummary


def annotate(
    run: Annotated[
        Path, typer.Argument(help="Folder of the run whose images are annotated.", show_default=False)
    ],
    plugin: Annotated[
        str,
        typer.Option("--plugin", "-p", help="Name of the plugin whose specialist `vila2 specialize` made."),
    ],
    dataset: RunDataset = None,
    specialist: Annotated[
        Path | None,
        typer.Option("--specialist", help="Folder of the specialist; by default RUN/specialists/PLUGIN."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, for example max_new_tokens=64."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed for the choice of prompts and for sampling.")] = 0,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Number of images at most, from the first on.")
    ] = None,
    engine_name: EngineName = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a specialist's layer for the images of a run; it can be stopped and continued at any time.

    Each image gets one of the plugin's prompts. The plugin's parser turns the answer into turns and claims.
    """
    from vila2.data.shards import ShardDataset
    from vila2.engine.registry import open_engine
    from vila2.run.displays import live_progress
    from vila2.specialist.annotating import (
        annotate_dataset,
        annotate_settings,
        check_annotate,
        find_dataset,
        summarize_layer,
    )
    from vila2.specialist.made import MadeSpecialist, specialist_folder
    from vila2.specialist.origin import find_origin

    origin = find_origin(run)
    opened = ShardDataset.open(find_dataset(origin, dataset))
    made = MadeSpecialist.open(specialist or specialist_folder(run, plugin), plugin)
    settings = annotate_settings(made, overrides or [])
    check_annotate(opened, made, settings, seed=seed)
    chosen = None if limit is None else frozenset(opened.keys()[:limit])
    with results_alone():
        engine = open_engine(engine_name or origin.engine, made.model, dtype=made.provenance["dtype"])
        layer = annotate_dataset(
            opened,
            engine,
            made,
            settings=settings,
            seed=seed,
            select=None if chosen is None else chosen.__contains__,
            progress=live_progress(quiet=quiet),
        )
    _show(summarize_layer(layer), as_json)


def _show(found: LayerSummary, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for title, counted in (("statuses", found["statuses"]), ("claims", found["claims"])):
        counts = ", ".join(f"{count} {name}" for name, count in counted.items())
        typer.echo(f"{title:<11} {counts or 'none'}")
    typer.echo(f"exchanges   {found['exchanges']} about {found['annotations']} images")
    typer.echo(f"written     {quoted(found['layer'])}")
