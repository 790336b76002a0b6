"""``vila2 annotate``: lets a specialist or a tool annotate the images of a run, a dataset or a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vila2.cli.options import (
    AsJson,
    EngineName,
    EngineOptions,
    Quiet,
    RunDataset,
    Verbose,
    chosen_engine,
    quoted,
    results_alone,
)
from vila2.errors import RecipeError

if TYPE_CHECKING:
    from vila2.data.shards import ShardDataset
    from vila2.specialist.annotating import LayerSummary


def annotate(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN_OR_DATASET_OR_PHOTOS",
            help="Folder of a run, of a dataset, or of photos.",
            show_default=False,
        ),
    ],
    plugin: Annotated[
        str,
        typer.Option(
            "--plugin",
            "-p",
            help="Plugin of a tool (such as rapidocr), or of the specialist that `vila2 specialize` made.",
        ),
    ],
    dataset: RunDataset = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="For a folder of photos: folder of the dataset that they become; by default PHOTOS-dataset.",
        ),
    ] = None,
    specialist: Annotated[
        Path | None,
        typer.Option("--specialist", help="Folder of the specialist; by default RUN/specialists/PLUGIN."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, for example max_new_tokens=64."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Seed for the choice of prompts and for sampling; by default 0."),
    ] = None,
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
    engine_options: EngineOptions = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write what a specialist or a tool says about images, as a layer; it can be stopped and continued.

    A specialist gets one of its plugin's prompts for each image; the plugin's parser turns the answer into
    turns and claims; after an upgrade of the plugin, --reparse lets its new parser read the answers that are
    there. A tool is used as it is: no model, no training. `vila2 merge` takes both layers.
    """
    from vila2.data.layer_replacement import layer_to_write
    from vila2.data.layers import Layer
    from vila2.engine.registry import open_engine
    from vila2.plugin.host import Host
    from vila2.plugin.tools import Tool
    from vila2.run.displays import live_progress
    from vila2.specialist.annotating import (
        annotate_dataset,
        annotate_settings,
        check_annotate,
        summarize_layer,
    )
    from vila2.specialist.annotation_places import images_for_specialist, images_for_tool
    from vila2.specialist.made import MadeSpecialist, specialist_folder
    from vila2.specialist.reparsing import reparse_layer
    from vila2.specialist.tool_annotating import ToolInUse, annotate_with_tool, set_values

    progress = live_progress(quiet=quiet)
    with results_alone():
        if isinstance(Host().described(plugin), Tool):
            given = {
                "--specialist": specialist,
                "--engine": engine_name,
                "--engine-option": engine_options,
                "--seed": seed,
            }
            _refuse(plugin, given | {"--reparse": reparse or None})
            used = ToolInUse.find(plugin, set_values(overrides or []))
            opened = images_for_tool(source, dataset, out, progress)
            folder = opened.folder / "layers" / (layer_name or plugin)
            with layer_to_write(folder, replace=replace, afresh=restart) as place:
                annotate_with_tool(
                    opened,
                    used,
                    folder=place,
                    layer=folder.name,
                    select=_first(opened, limit),
                    progress=progress,
                )
        else:
            opened, engine = images_for_specialist(source, dataset, out, specialist, progress)
            chosen = chosen_engine(engine_name, engine_options, engine)
            folder = opened.folder / "layers" / (layer_name or plugin)
            of = specialist or specialist_folder(source, plugin)
            if reparse:
                model = MadeSpecialist.open(of, plugin).model if of.exists() else None
                reparse_layer(opened, folder, plugin, model=model, progress=progress)
            else:
                made = MadeSpecialist.open(of, plugin)
                settings = annotate_settings(made, overrides or [])
                with layer_to_write(folder, replace=replace, afresh=restart) as place:
                    check_annotate(place, made, settings, seed=seed or 0)
                    annotate_dataset(
                        opened,
                        open_engine(chosen, made.model, dtype=made.provenance["dtype"]),
                        made,
                        folder=place,
                        layer=folder.name,
                        settings=settings,
                        seed=seed or 0,
                        select=_first(opened, limit),
                        progress=progress,
                    )
    _show(summarize_layer(Layer.open(folder)), as_json)


def _first(dataset: ShardDataset, limit: int | None) -> Callable[[str], bool] | None:
    return None if limit is None else frozenset(dataset.keys()[:limit]).__contains__


def _refuse(plugin: str, options: Mapping[str, object]) -> None:
    """Refuses options that a tool has no use for, rather than to ignore them."""
    for name, value in options.items():
        if value is not None:
            raise RecipeError(f"{name}: {plugin!r} is a tool, which has none", hint=f"leave out {name}")


def _show(found: LayerSummary, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for title, counted in (("statuses", found["statuses"]), ("claims", found["claims"])):
        counts = ", ".join(f"{count} {name}" for name, count in counted.items())
        typer.echo(f"{title:<11} {counts or 'none'}")
    typer.echo(f"exchanges   {found['exchanges']} about {found['annotations']} images")
    typer.echo(f"written     {quoted(found['layer'])}")
