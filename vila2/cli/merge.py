"""``vila2 merge``: the layers of a dataset verified against each other and merged into conversations."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from vila2.cli.options import AsJson, Quiet, Verbose, quoted, results_alone


def merge(
    place: Annotated[
        Path,
        typer.Argument(metavar="DATASET_OR_RUN", help="A dataset's folder, or a run's.", show_default=False),
    ],
    layers: Annotated[
        str,
        typer.Option(
            "--layers",
            "-l",
            help="Their names, such as original,self-1,spatial,ocr; one that no plugin wrote is the base.",
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="Of the layer that is written.")] = "merged",
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="A dataset of the run; by default the one that was recaptioned."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="In place of what the run's recipe says under merge, or of the default: unverified=drop, "
            "arm=append, budget=200.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Of the order and the questions; by default the run's, of a dataset 0."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="That writes, where writer is model.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the layer DATASET/layers/merged: every image's layers as one conversation, resumable at any moment.

    A run's layers are merged as its recipe says. Sentences that the specialists' evidence refutes are left
    out; what was kept, dropped and why is printed, and lies sentence by sentence in the layer's folder. Train
    on the views dialogue(merged) or tree(merged).
    """
    from vila2.engine.registry import open_engine
    from vila2.merge.fate_counts import merge_results, tally_merge
    from vila2.merge.merging import merge_layers
    from vila2.merge.settings import find_layers, merge_settings, settings_of
    from vila2.run.displays import live_progress

    opened, found = find_layers(place, [one.strip() for one in layers.split(",")], dataset)
    start, own_seed = settings_of(place)
    spec = merge_settings(start, overrides or [], found)
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
            engine=open_engine(spec.engine, writer) if writer else None,
            progress=live_progress(quiet=quiet),
        )
    bare = opened.without_image()
    merged = merge_results({"rows": layer.count, **tally_merge(folder, bare)}, list(found))
    about = {"layer": str(folder), "arm": spec.arm, "base": spec.base, "without_image": len(bare)}
    if as_json:
        typer.echo(json.dumps(about | merged, ensure_ascii=False))
    else:
        _show(about, merged)


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
    if about["without_image"]:
        typer.echo(f"not counted {about['without_image']} samples without an image, which keep their text")
    typer.echo(f"written     {quoted(about['layer'])}")
