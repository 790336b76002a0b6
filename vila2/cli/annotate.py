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
    layer_name: Annotated[
        str | None,
        typer.Option("--layer", help="Name of the layer; by default the plugin's.", show_default=False),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Make the layer anew; the old one stays until the new one is complete."
        ),
    ] = False,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Throw an unfinished layer away, such as one with other settings."),
    ] = False,
    reparse: Annotated[
        bool,
        typer.Option(
            "--reparse",
            help="Read the answers of a finished layer anew with the plugin as it is now, without a model.",
        ),
    ] = False,
    engine_name: EngineName = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a specialist's layer for the images of a run; it can be stopped and continued at any time.

    Each image gets one of the plugin's prompts. The plugin's parser turns the answer into turns and claims.
    After an upgrade of the plugin, --reparse lets its new parser read the answers that are there.
    """
    from vila2.data.layer_replacement import layer_to_write
    from vila2.data.layers import Layer
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
    from vila2.specialist.reparsing import reparse_layer

    origin = find_origin(run)
    opened = ShardDataset.open(find_dataset(origin, dataset))
    folder = opened.folder / "layers" / (layer_name or plugin)
    progress = live_progress(quiet=quiet)
    of = specialist or specialist_folder(run, plugin)
    if reparse:
        model = MadeSpecialist.open(of, plugin).model if of.exists() else None
        with results_alone():
            layer = reparse_layer(opened, folder, plugin, model=model, progress=progress)
        _show(summarize_layer(layer), as_json)
        return
    made = MadeSpecialist.open(of, plugin)
    settings = annotate_settings(made, overrides or [])
    chosen = None if limit is None else frozenset(opened.keys()[:limit])
    with results_alone(), layer_to_write(folder, replace=replace, afresh=restart) as place:
        check_annotate(place, made, settings, seed=seed)
        annotate_dataset(
            opened,
            open_engine(engine_name or origin.engine, made.model, dtype=made.provenance["dtype"]),
            made,
            folder=place,
            layer=folder.name,
            settings=settings,
            seed=seed,
            select=None if chosen is None else chosen.__contains__,
            progress=progress,
        )
    _show(summarize_layer(Layer.open(folder)), as_json)


def _show(found: LayerSummary, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for title, counted in (("statuses", found["statuses"]), ("claims", found["claims"])):
        counts = ", ".join(f"{count} {name}" for name, count in counted.items())
        typer.echo(f"{title:<11} {counts or 'none'}")
    typer.echo(f"exchanges   {found['exchanges']} about {found['annotations']} images")
    typer.echo(f"written     {quoted(found['layer'])}")
