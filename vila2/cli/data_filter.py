"""``vila2 data filter``: a selection of a layer's annotations, as a layer that mixtures take by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vila2.cli.options import AsJson, RunDataset, quoted, results_alone
from vila2.errors import DataError

if TYPE_CHECKING:
    from vila2.data.layers import ReadLayer


def filter_(
    place: Annotated[
        Path,
        typer.Argument(metavar="DATASET_OR_RUN", help="Folder of a dataset or of a run.", show_default=False),
    ],
    layer: Annotated[str, typer.Option("--layer", help="Layer to choose from, or original.")],
    out: Annotated[str, typer.Option("--out", "-o", help="Name of the new layer.")],
    dataset: RunDataset = None,
    status: Annotated[
        str, typer.Option("--status", help="Statuses that are kept, with commas between them.")
    ] = "ok",
    words: Annotated[
        str, typer.Option("--words", metavar="FEWEST-MOST", help="Number of words: 5-200, 5- or -200.")
    ] = "",
    most_images: Annotated[
        int | None,
        typer.Option(
            "--most-images", min=1, help="Leave out texts that stand on more images than this, word for word."
        ),
    ] = None,
    without_fate: Annotated[
        str,
        typer.Option(
            "--without-fate",
            help="Of a merged layer: leave out samples with a sentence that the merge dropped for one of "
            "these reasons, such as contradicted.",
        ),
    ] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Replace an earlier layer of the name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Choose annotations of a layer by status, words, repetition or fate; they become a layer of their own.

    Nothing is deleted. Views, mixtures, merges and exports take the new layer by its name: only(NAME).
    """
    from vila2.caption.layer_filter import Wanted, filter_layer
    from vila2.data.annotations import STATUSES
    from vila2.nearest import did_you_mean
    from vila2.run.finding import open_described

    statuses = tuple(part.strip() for part in status.split(",") if part.strip())
    for name in statuses:
        if name not in STATUSES:
            raise DataError(f"--status {name}: there is no such status", hint=did_you_mean(name, STATUSES))
    fewest, most = _bounds(words)
    opened, found = open_described(place, [layer], dataset)
    unwanted = _refused(found[layer], without_fate) if without_fate else {}
    wanted = Wanted(statuses, fewest, most, most_images, unwanted)
    with results_alone():
        made = filter_layer(opened, found[layer], wanted, name=out, replace=replace)
    if as_json:
        told = {"layer": str(made.layer.folder), "kept": made.kept, "left_out": made.left_out}
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    left_out = ", ".join(f"{count} {reason}" for reason, count in made.left_out.items()) or "none"
    typer.echo(f"kept        {made.kept} annotations of {layer}")
    typer.echo(f"left out    {left_out}")
    typer.echo(f"written     {quoted(made.layer.folder)}, for views such as only({out})")


def _bounds(words: str) -> tuple[int, int | None]:
    """The numbers of ``FEWEST-MOST``, where either may be missing."""
    fewest, dash, most = words.partition("-")
    numbers = [part.strip() for part in (fewest, most)]
    if words and (not dash or not all(part.isdecimal() or not part for part in numbers) or not any(numbers)):
        raise DataError(f"--words {words}: not a range of words", hint="write 5-200, 5- or -200")
    least, greatest = (int(part) if part else None for part in numbers)
    if least is not None and greatest is not None and least > greatest:
        raise DataError(f"--words {words}: the range is empty", hint=f"write {greatest}-{least}")
    return least or 0, greatest


def _refused(layer: ReadLayer, reasons: str) -> dict[str, str]:
    """Keys of samples with a sentence that the merge dropped for one of the reasons, each with the reason."""
    from vila2.data.layers import Layer
    from vila2.merge.fates import read_fates

    if not isinstance(layer, Layer) or not (layer.folder / "fates").is_dir():
        raise DataError(
            f"layer {layer.name} is not merged, so it has no fates", hint="leave out --without-fate"
        )
    asked = {part.strip() for part in reasons.split(",")}
    dropped = [(fate.key, fate.reason) for fate in read_fates(layer.folder) if not fate.kept]
    known = {reason for _, reason in dropped}
    if unknown := asked - known:
        raise DataError(
            f"--without-fate {sorted(unknown)[0]}: layer {layer.name} has no such fate",
            hint=f"its fates: {', '.join(sorted(known)) or 'none; everything was kept'}",
        )
    return {key: reason for key, reason in dropped if reason in asked}
