"""``vila2 merge``: verifies the layers of a dataset against each other and merges them into conversations."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

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


def merge(
    place: Annotated[
        Path,
        typer.Argument(metavar="DATASET_OR_RUN", help="Folder of a dataset or of a run.", show_default=False),
    ],
    layers: Annotated[
        str,
        typer.Option(
            "--layers",
            "-l",
            help="Names of the layers, such as original,self-1,spatial,ocr. A layer that no plugin wrote is "
            "the base.",
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="Name of the new layer.")] = "merged",
    dataset: RunDataset = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting of `merge` in the run's recipe, or its default: unverified=drop, "
            "arm=append, budget=200.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            help="Seed for the order and the questions; by default the run's seed, or 0 for a dataset.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Model that writes, with writer=model: hub id or folder."),
    ] = None,
    engine_name: EngineName = None,
    engine_options: EngineOptions = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Merge the layers of every image into one conversation; it can be stopped and continued at any time.

    The new layer is DATASET/layers/merged. The layers of a run are merged as its recipe says. Sentences that
    the specialists' evidence refutes are left out. The command prints what was kept and what was dropped, and
    why; the layer's folder holds this for every sentence. Train on the views dialogue(merged) or
    tree(merged).
    """
    from vila2.engine.registry import open_engine
    from vila2.merge.fate_counts import merge_results, tally_merge
    from vila2.merge.merging import merge_layers
    from vila2.merge.settings import find_layers, merge_settings, settings_of
    from vila2.merge.verifier_counts import one_sided
    from vila2.run.displays import live_progress

    opened, found = find_layers(place, [one.strip() for one in layers.split(",")], dataset)
    start, own_seed = settings_of(place, opened)
    named = [f"engine={engine_name}"] if engine_name else []
    spec = merge_settings(start, [*(overrides or []), *named], found)
    writer = model or (spec.model if spec.writer == "model" else None)
    folder = opened.folder / "layers" / name
    with results_alone():
        layer = merge_layers(
            opened,
            found,
            folder=folder,
            name=name,
            spec=spec,
            seed=own_seed if seed is None else seed,
            engine=open_engine(chosen_engine(None, engine_options, spec.engine), writer) if writer else None,
            progress=live_progress(quiet=quiet),
        )
    bare = opened.without_image()
    merged = merge_results({"rows": layer.count, **tally_merge(folder, bare)}, list(found))
    about = {
        "layer": str(folder),
        "arm": spec.arm,
        "base": spec.base,
        "original": spec.original,
        "without_image": len(bare),
        "evidence": spec.evidence,
        "one_sided": one_sided(folder),
    }
    if as_json:
        typer.echo(json.dumps(about | merged, ensure_ascii=False))
    else:
        _show(about, merged)
        typer.echo(f"next        vila2 browse {quoted(place)}")
        typer.echo(f"            vila2 export {quoted(place)} out --to trl --layer {name}")


def _show(about: Mapping[str, Any], merged: Mapping[str, Any]) -> None:
    from vila2.cli.tables import show_table
    from vila2.report.merge_result import MergeResult
    from vila2.report.merge_tables import RATES_TOLD, kept_table, rate_table, verdict_table

    found = MergeResult.model_validate(merged)
    for shown in (
        kept_table(found, "exchanges"),
        kept_table(found, "sentences"),
        verdict_table(found),
        rate_table(found),
    ):
        show_table(*shown)
    typer.echo(textwrap.fill(RATES_TOLD, 100))
    typer.echo(f"merged      {found.images} images, {found.rows} rows ({about['arm']})")
    if about["evidence"]:
        typer.echo("evidence    what the dataset itself knows was used; --set evidence=false leaves it out")
    human = found.sources.get("original")
    if human and about["original"] == "keep" and (refuted := human.verdicts.get("contradicted", 0)):
        typer.echo(
            f"note        {refuted} contradicted sentences of `original` stay, as text by people does; "
            "--set original=verify drops them"
        )
    for told in about["one_sided"]:
        typer.echo(f"warning     {told}")
    if about["without_image"]:
        typer.echo(f"not counted {about['without_image']} samples without an image, which keep their text")
    typer.echo(f"written     {quoted(about['layer'])}")
