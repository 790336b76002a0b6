"""``vila2 export``: a dataset and its layers in the format of another trainer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vila2.cli.options import AsJson, Private, Quiet, RunDataset, pushed_line, quoted, results_alone

if TYPE_CHECKING:
    from vila2.exports.facts import Exported


def export(
    place: Annotated[
        Path,
        typer.Argument(metavar="DATASET_OR_RUN", help="Folder of a dataset or of a run.", show_default=False),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write.", show_default=False)],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="Format: llava, sharegpt, trl, llama-factory, ms-swift, huggingface, webdataset, csv or "
            "text.",
            show_default=False,
        ),
    ],
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "--layer",
            help="Layer to export, such as self-1, ocr or merged; by default the original text. May be "
            "repeated: the exchanges of all of them follow each other.",
            show_default=False,
        ),
    ] = None,
    view: Annotated[
        str, typer.Option("--view", help="View in place of --layer, such as 'tree(original,merged)'.")
    ] = "",
    dataset: RunDataset = None,
    coordinates: Annotated[
        str | None,
        typer.Option(
            "--coordinates",
            help="How boxes and points are written: unit (default), thousandths, pixels, resized-pixels, "
            "tokens or paligemma.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--for", help="Model whose coordinates are used: name on the hub, or folder."),
    ] = None,
    question: Annotated[str, typer.Option("--question", help="Question before texts that have none.")] = "",
    license: Annotated[str, typer.Option("--license", help="License of the data, for the card.")] = "",
    despite_licenses: Annotated[
        bool,
        typer.Option("--despite-licenses", help="Export although the terms of a layer forbid it."),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an earlier export.")] = False,
    push: Annotated[
        str,
        typer.Option(
            "--push", metavar="USER/NAME", help="Dataset on the Hugging Face hub to put the files into."
        ),
    ] = "",
    private: Private = True,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a dataset and its layers as files that another trainer reads, with a card of their provenance.

    OUT/left_out.jsonl names every row that the format cannot hold.
    """
    from vila2.api.exported_data import export as write_export

    with results_alone():
        exported = write_export(
            place,
            out,
            to=to,
            layers=layer or (),
            view=view,
            dataset=dataset,
            coordinates=coordinates,
            model=model,
            question=question,
            license=license,
            despite_licenses=despite_licenses,
            replace=replace,
            push=push,
            private=private,
            quiet=quiet,
        )
    typer.echo(json.dumps(exported.to_json(), ensure_ascii=False) if as_json else _text(exported))


def _text(exported: Exported) -> str:
    lines = [
        f"{quoted(exported.folder)}: {exported.rows} rows of {exported.samples} samples, {exported.view}"
    ]
    if exported.converted:
        lines.append(f"{exported.converted} images were turned upright or written as PNG")
    for title, counts in (("left out", exported.left_out), ("without a usable text", exported.dropped)):
        if counts:
            told = ", ".join(f"{reason} {count}" for reason, count in counts.items())
            lines.append(f"{title}: {told}")
    lines.append(f"open it: {exported.use}")
    return "\n".join([*lines, pushed_line(exported.pushed)] if exported.pushed else lines)
