"""``vila2 annotate``: lets a specialist or a tool annotate the images of a run, a dataset or a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace as with_changed
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vila2.cli.options import (
    AsJson,
    EngineName,
    EngineOptions,
    PartOption,
    Quiet,
    Ray,
    RayWorkers,
    RunDataset,
    Verbose,
    chosen_cluster,
    chosen_engine,
    quoted,
    results_alone,
    show_part,
)
from vila2.errors import RecipeError
from vila2.progress import Silent

if TYPE_CHECKING:
    from vila2.caption.layer_parts import LayerPart
    from vila2.data.shards import ShardDataset
    from vila2.progress import Progress
    from vila2.recipe.parts.compute import ComputeSpec
    from vila2.recipe.parts.engine import EngineSpec
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
    part: PartOption = None,
    ray: Ray = None,
    workers: RayWorkers = None,
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
    from vila2.caption.layer_parts import OtherPartsLeft
    from vila2.data.layers import Layer
    from vila2.plugin.host import Host
    from vila2.plugin.tools import Tool
    from vila2.run.displays import live_progress
    from vila2.specialist.annotating import summarize_layer

    progress = live_progress(quiet=quiet)
    whole = {"--replace": replace, "--restart": restart, "--reparse": reparse}
    shared = _shared_part(source, part, whole)
    cluster = chosen_cluster(ray, workers, {"--part": part, **whole})
    target = _Target(source, plugin, dataset, out, layer_name, limit, shared, replace, restart, progress)
    try:
        with results_alone():
            if isinstance(Host().described(plugin), Tool):
                for_specialists = {
                    "--specialist": specialist,
                    "--engine": engine_name,
                    "--engine-option": engine_options,
                    "--seed": seed,
                    "--reparse": reparse or None,
                }
                _refuse(plugin, for_specialists)
                folder = _done(cluster, target, partial(_with_tool, overrides=overrides or []))
            elif reparse:
                folder = _read_anew(target, specialist)
            else:
                engine = partial(chosen_engine, engine_name, engine_options)
                write = partial(
                    _with_specialist,
                    specialist=specialist,
                    engine=engine,
                    overrides=overrides or [],
                    seed=seed or 0,
                )
                folder = _done(cluster, target, write)
    except OtherPartsLeft as others:
        show_part(others, as_json=as_json)
        return
    _show(summarize_layer(Layer.open(folder)), _next(folder, source), as_json)


def _shared_part(source: Path, part: str | None, whole: Mapping[str, bool]) -> LayerPart | None:
    """The part that this process writes; None for the whole layer.

    Args:
        source: what is annotated.
        part: part as it was given.
        whole: options that concern a whole layer, and whether they were given.
    """
    from vila2.caption.layer_parts import LayerPart
    from vila2.run.finding import is_described

    if part is None:
        return None
    for name, asked in whole.items():
        if asked:
            raise RecipeError(f"{name} concerns a whole layer", hint="leave --part out")
    if not is_described(source):
        raise RecipeError(
            f"--part: {source} is no dataset", hint="make one of the photos with `vila2 data import` first"
        )
    return LayerPart.parse(part)


@dataclass(frozen=True, slots=True)
class _Target:
    """The layer to write, and what it is about: the options that tools and specialists share."""

    source: Path
    plugin: str
    dataset: str | None
    out: Path | None
    layer_name: str | None
    limit: int | None
    part: LayerPart | None
    replace: bool
    restart: bool
    progress: Progress

    def folder(self, opened: ShardDataset) -> Path:
        return opened.folder / "layers" / (self.layer_name or self.plugin)

    def select(self, opened: ShardDataset) -> Callable[[str], bool] | None:
        from vila2.caption.batched_layer import first_keys

        return first_keys(opened, self.limit)

    def writing(self, folder: Path) -> AbstractContextManager[Path]:
        """Gives the folder in which the new layer is written, which may stand beside the old one."""
        from vila2.data.layer_replacement import layer_to_write

        return layer_to_write(folder, replace=self.replace, afresh=self.restart)


def _done(cluster: ComputeSpec | None, target: _Target, write: Callable[[_Target], Path]) -> Path:
    """Writes the layer in this process or on a cluster; returns its folder."""
    if cluster is None:
        return write(target)
    from vila2.compute.cluster_jobs import write_layer
    from vila2.compute.ray_cluster import joined
    from vila2.run.finding import find_described, is_described

    if not is_described(target.source):
        raise RecipeError(
            f"--ray: {target.source} is no dataset",
            hint="make one of the photos with `vila2 data import` first",
        )
    opened, _ = find_described(target.source, target.dataset)
    folder = target.folder(opened)
    call = partial(_write_part, with_changed(target, progress=Silent()), write)
    with joined(cluster) as workers:
        write_layer(workers, opened, folder, call, target.progress)
    return folder


def _write_part(
    target: _Target, write: Callable[[_Target], Path], part: LayerPart | None, progress: Progress
) -> dict[str, str]:
    """Writes a part of the layer, in a worker."""
    return {"layer": str(write(with_changed(target, part=part, progress=progress)))}


def _with_tool(target: _Target, overrides: list[str]) -> Path:
    """Lets a tool write the layer; returns its folder."""
    from vila2.specialist.annotation_places import images_for_tool
    from vila2.specialist.tool_annotating import ToolInUse, annotate_with_tool, set_values

    used = ToolInUse.find(target.plugin, set_values(overrides))
    opened = images_for_tool(target.source, target.dataset, target.out, target.progress)
    folder = target.folder(opened)
    with target.writing(folder) as place:
        annotate_with_tool(
            opened,
            used,
            folder=place,
            layer=folder.name,
            select=target.select(opened),
            part=target.part,
            progress=target.progress,
        )
    return folder


def _with_specialist(
    target: _Target,
    specialist: Path | None,
    engine: Callable[[EngineSpec], EngineSpec],
    overrides: list[str],
    seed: int,
) -> Path:
    """Lets a specialist write the layer; returns its folder.

    Args:
        target: layer to write.
        specialist: folder of the specialist; None where it lies in the run.
        engine: function from the run's engine to the one that is used.
        overrides: settings that differ from the specialist's recipe.
        seed: seed of the choice of prompts.
    """
    from vila2.engine.registry import open_engine
    from vila2.specialist.annotating import annotate_dataset, annotate_settings, check_annotate
    from vila2.specialist.annotation_places import images_for_specialist
    from vila2.specialist.made import MadeSpecialist, specialist_folder

    opened, own = images_for_specialist(
        target.source, target.dataset, target.out, specialist, target.progress
    )
    chosen, folder = engine(own), target.folder(opened)
    made = MadeSpecialist.open(specialist or specialist_folder(target.source, target.plugin), target.plugin)
    settings = annotate_settings(made, overrides)
    with target.writing(folder) as place:
        check_annotate(place, made, settings, seed=seed)
        annotate_dataset(
            opened,
            open_engine(chosen, made.model, dtype=made.provenance["dtype"]),
            made,
            folder=place,
            layer=folder.name,
            settings=settings,
            seed=seed,
            select=target.select(opened),
            part=target.part,
            progress=target.progress,
        )
    return folder


def _read_anew(target: _Target, specialist: Path | None) -> Path:
    """Reads a layer's answers with the plugin as it is now; returns the layer's folder."""
    from vila2.specialist.annotation_places import images_for_specialist
    from vila2.specialist.made import MadeSpecialist, specialist_folder
    from vila2.specialist.reparsing import reparse_layer

    opened, _ = images_for_specialist(target.source, target.dataset, target.out, specialist, target.progress)
    of = specialist or specialist_folder(target.source, target.plugin)
    model = MadeSpecialist.open(of, target.plugin).model if of.exists() else None
    folder = target.folder(opened)
    reparse_layer(opened, folder, target.plugin, model=model, progress=target.progress)
    return folder


def _refuse(plugin: str, options: Mapping[str, object]) -> None:
    """Refuses options that a tool has no use for, rather than to ignore them."""
    for name, value in options.items():
        if value is not None:
            raise RecipeError(f"{name}: {plugin!r} is a tool, which has none", hint=f"leave out {name}")


def _next(folder: Path, source: Path) -> str:
    """The command that merges the new layer; empty for a run, whose recipe says how its layers are merged."""
    from vila2.data.layers import Layer
    from vila2.run.run_model import is_run

    if is_run(source):
        return ""
    beside = [Layer.open(path.parent) for path in sorted(folder.parent.glob("*/layer.json"))]
    written = [one.name for one in beside if "plugin" not in one.info and "merge" not in one.info]
    names = [*(written[:1] or ["original"]), *(one.name for one in beside if "plugin" in one.info)]
    return f"vila2 merge {quoted(folder.parents[1])} --layers {','.join(names)}"


def _show(found: LayerSummary, next_command: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for title, counted in (("statuses", found["statuses"]), ("claims", found["claims"])):
        counts = ", ".join(f"{count} {name}" for name, count in counted.items())
        typer.echo(f"{title:<11} {counts or 'none'}")
    typer.echo(f"exchanges   {found['exchanges']} about {found['annotations']} images")
    typer.echo(f"written     {quoted(found['layer'])}")
    if next_command:
        typer.echo(f"next        {next_command}")
