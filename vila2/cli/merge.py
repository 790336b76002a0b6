"""``vila2 merge``: the layers of a dataset verified against each other and merged into conversations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vila2.cli.options import Quiet

if TYPE_CHECKING:
    from vila2.data.layers import ReadLayer


def merge(
    place: Annotated[
        Path,
        typer.Argument(metavar="DATASET_OR_RUN", help="A dataset's folder, or a run's.", show_default=False),
    ],
    layers: Annotated[
        str,
        typer.Option(
            "--layers", "-l", help="Their names, such as original,self-1,spatial,ocr; the original first."
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
            "--set", metavar="KEY=VALUE", help="For example unverified=drop, arm=append, budget=200."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the order and the questions.")] = 0,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="That writes, with --set writer=model.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write the layer DATASET/layers/merged: every image's layers as one conversation, resumable at any moment.

    Sentences that the specialists' evidence refutes are left out; what was kept, dropped and why is printed, and lies
    sentence by sentence in the layer's folder. Train on the views dialogue(merged) or tree(merged).
    """
    from vila2.caption.engines import open_engine
    from vila2.cycle.merge.job import merge_layers
    from vila2.cycle.merge.settings import find_layers, merge_settings
    from vila2.cycle.merge.tally import tally_merge
    from vila2.run.progress import live_progress

    opened, found = find_layers(place, [one.strip() for one in layers.split(",")], dataset)
    spec = merge_settings(overrides or [], found)
    writer = model or spec.model
    folder = opened.folder / "layers" / name
    layer = merge_layers(
        opened,
        found,
        folder=folder,
        name=name,
        spec=spec,
        seed=seed,
        engine=open_engine(spec.engine, writer) if writer else None,
        progress=live_progress(quiet=quiet),
    )
    numbers = {
        "layer": str(folder),
        "arm": spec.arm,
        "base": spec.base,
        "rows": layer.count,
        **tally_merge(folder),
    }
    if as_json:
        typer.echo(json.dumps(numbers, ensure_ascii=False))
    else:
        _show(numbers, found)


def _show(numbers: dict[str, Any], layers: Mapping[str, ReadLayer]) -> None:
    from rich.console import Console

    from vila2.cli.tables import table

    console = Console()
    sources = numbers["sources"]
    rows = [(name, sources[name]) for name in (*layers, "writer") if name in sources]
    rows.append(("all", numbers["all"]))
    for what in ("exchanges", "sentences"):
        reasons = sorted({reason for _, one in rows for reason in one[what]["dropped"]})
        counts = [[one[what]["kept"], *(one[what]["dropped"].get(r, 0) for r in reasons)] for _, one in rows]
        lines = [[name, *own] for (name, _), own in zip(rows, counts, strict=True)]
        console.print(table([what, "kept", *reasons], lines))
    verdicts = ("supported", "contradicted", "unverified")
    lines = [[name, *(one["verdicts"][verdict] for verdict in verdicts)] for name, one in rows]
    console.print(table(["verdicts", *verdicts], lines))
    columns = ["before > after", "claims", "coverage", "contradicted", "words"]
    console.print(table(columns, [[name, *_rates(one)] for name, one in rows]))
    typer.echo(
        "coverage: share of claims that some evidence decides; contradicted: share of those that it\n"
        "refutes; words: of answers and captions, per image"
    )
    typer.echo(f"merged      {numbers['images']} images, {numbers['rows']} rows ({numbers['arm']})")
    typer.echo(f"written     {numbers['layer']}")


def _rates(one: dict[str, Any]) -> list[str]:
    before, after = one["before"], one["after"]
    return [
        f"{before['claims']} > {after['claims']}",
        *(f"{_share(before[rate])} > {_share(after[rate])}" for rate in ("coverage", "contradiction_rate")),
        f"{one['words_before']:.1f} > {one['words_after']:.1f}",
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
