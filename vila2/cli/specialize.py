"""``vila2 specialize``: makes a specialist from a generalist and a plugin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vila2.cli.options import (
    AsJson,
    DryRun,
    EngineName,
    EngineOptions,
    Quiet,
    Verbose,
    chosen_engine,
    quoted,
    results_alone,
)
from vila2.cli.tables import print_plan, show_table

if TYPE_CHECKING:
    from vila2.recipe.parts.data import DatasetSpec
    from vila2.specialist.making_steps import BuildResults


_Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Data to build the training set from: a file or folder (a dataset, COCO JSON, text boxes, "
        "questions, ...), or a source such as world:split=specialist,count=600. By default as the recipe "
        "says, or the run's own images if they have evidence.",
    ),
]
_Mix = Annotated[
    list[Path] | None,
    typer.Option(
        "--mix",
        help="Dataset to use for run:STAGE in the recipe; STAGE=FOLDER for one stage only. May be repeated.",
    ),
]


def specialize(
    plugin: Annotated[
        str, typer.Option("--plugin", "-p", help="Name of the plugin; `vila2 plugins list` shows all.")
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Generalist: a run, a checkpoint (folder or hub id), or builtin:miniature, a small one that "
            "vila2 ships; by default the latest run.",
        ),
    ] = None,
    data: _Data = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting of the builder or the recipe, for example stages.NAME.epochs=2.",
        ),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="Recipe to use instead of the plugin's own.")
    ] = None,
    mix: _Mix = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the specialist; by default RUN/specialists/PLUGIN."),
    ] = None,
    engine_name: EngineName = None,
    engine_options: EngineOptions = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Build a plugin's data, fine-tune the generalist on it, and compare the two on the plugin's measures.

    Finished steps are never repeated. The same command continues after a stop, and after a change of a
    setting only the steps that depend on it are done again.
    """
    from vila2.api.runs import default_folder
    from vila2.run.displays import live_progress
    from vila2.specialist.origin import find_origin
    from vila2.specialist.specialist_job import prepare_job
    from vila2.specialist.specialist_preflight import preflight_specialist
    from vila2.specialist.specializing import specialize as make_specialist

    origin = find_origin(source)
    job = prepare_job(
        plugin,
        origin,
        _data_spec(data),
        recipe=recipe,
        overrides=overrides or [],
        mix=mix or [],
        engine=chosen_engine(engine_name, engine_options, origin.engine),
    )
    folder = out or default_folder(origin, plugin)
    with results_alone():
        outcome: Mapping[str, Any]
        if dry_run:
            outcome = preflight_specialist(job, folder)
        else:
            outcome = make_specialist(
                job, folder, progress=live_progress(quiet=quiet), show=None if quiet else _show_built
            )
    if dry_run:
        print_plan(outcome, folder, as_json)
    else:
        _print_outcome(outcome, folder, as_json)


def _data_spec(text: str | None) -> DatasetSpec | None:
    """``--data``: a path, or ``SOURCE:KEY=VALUE,KEY=VALUE``."""
    from vila2.errors import RecipeError
    from vila2.recipe.file.yaml import read_setting
    from vila2.recipe.parts.data import DatasetSpec
    from vila2.sources import source_names

    if not text:
        return None
    source, colon, rest = text.partition(":")
    if Path(text).exists() or not colon or source not in source_names():
        return DatasetSpec(source="path", path=text)
    options = {}
    for pair in filter(None, rest.split(",")):
        name, equals, value = pair.partition("=")
        if not equals:
            raise RecipeError(f"--data {text}: {pair!r} has no value", hint=f"{source}:KEY=VALUE,KEY=VALUE")
        options[name] = read_setting(value, where=f"--data {pair}").value
    return DatasetSpec(source=source, path=options.pop("path", None), options=options)


def _show_built(built: BuildResults, preview: Path) -> None:
    """Shows the built data on standard error, before anything is trained on it."""
    from vila2.specialist.comparison import build_rows

    samples = ", ".join(f"{count:,} {name}" for name, count in built["samples"].items())
    typer.echo(f"built {built['built']:,} samples: {samples}", err=True)
    rejects = ", ".join(f"{reason} {count:,}" for reason, count in built["rejected"].items())
    typer.echo(f"rejected: {rejects or 'none'}", err=True)
    show_table(["kind", "exchanges", "share", "answers"], build_rows(built), err=True)
    typer.echo(f"preview: {quoted(preview)}", err=True)


def _print_outcome(outcome: Mapping[str, Any], folder: Path, as_json: bool) -> None:
    if as_json:
        shown = {key: outcome[key] for key in ("report", "model", "built", "summary")}
        typer.echo(json.dumps({"folder": str(folder), **shown}, ensure_ascii=False))
        return
    show_table(outcome["summary"]["columns"], outcome["summary"]["rows"])
    typer.echo(f"report: {quoted(outcome['report'])}")
    typer.echo(f"model:  {quoted(outcome['model'])}")
