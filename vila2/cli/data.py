"""``vila2 data``: imports a source into shards, shows a dataset, and checks it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vila2.cli.data_filter import filter_
from vila2.cli.data_summary import import_json, import_text, stats_json, stats_text
from vila2.cli.groups import Commands
from vila2.cli.options import AsJson, Quiet, Verbose, quoted, results_alone

if TYPE_CHECKING:
    from vila2.data.layers import Layer
    from vila2.data.shards import ShardDataset

app = typer.Typer(
    cls=Commands, no_args_is_help=True, help="Select, import, filter, describe, preview and verify data."
)

Dataset = Annotated[
    Path,
    typer.Argument(
        metavar="DATASET_OR_RUN",
        help="Folder of a dataset, of WebDataset tars, or of a run; or URL of a dataset.",
        show_default=False,
    ),
]
OfRun = Annotated[str | None, typer.Option("--dataset", help="Dataset of the run.", show_default=False)]
Layers = Annotated[
    list[Path] | None,
    typer.Option(
        "--layer",
        help="Folder of a layer outside the dataset's folder. May be repeated.",
        show_default=False,
    ),
]


@app.command("import")
def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="Source: captions, evidence, folder, huggingface, img2dataset, instructions, llava, mmc4, "
            "world, or one of a plugin. `vila2 config reference --sources` describes them."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the new dataset.", show_default=False)],
    path: Annotated[str | None, typer.Argument(help="File, folder or name to read.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", help="Option of the source, NAME=VALUE. May be repeated.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the dataset; by default that of its folder.")
    ] = None,
    shard_size: Annotated[
        int, typer.Option("--shard-size", min=1, help="Number of samples in a shard.")
    ] = 1000,
    allow_outside: Annotated[
        bool,
        typer.Option("--allow-outside", help="Also read images outside the source's folder or image_root."),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a finished dataset.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Import a source into shards; OUT/rejected.jsonl names everything that cannot be imported.

    Run the same command again after a stop.
    """
    from vila2.data.importing import check_vacant, write_dataset
    from vila2.run.displays import live_progress
    from vila2.sources import open_source

    options = _options(source, option or [])
    origin = {
        "source": source,
        "path": str(Path(path).absolute()) if path and Path(path).exists() else path,
        "options": options,
        "name": name,
        "shard_size": shard_size,
        "allow_outside": allow_outside,
    }
    was_there = not replace and (out / "dataset.json").exists()
    if was_there:
        check_vacant(out, origin)
    samples = open_source(source, **({"path": path} | options), allow_outside=allow_outside)
    with results_alone(), live_progress(quiet=quiet).task(f"import {source}", options.get("count")) as task:
        info = write_dataset(
            out,
            samples,
            name=name or out.resolve().name,
            shard_size=shard_size,
            progress=task,
            replace=replace,
            origin=origin,
        )
    if was_there:
        typer.echo("note: this command was done before; --replace imports the source again", err=True)
    typer.echo(import_json(info) if as_json else import_text(info))


@app.command()
def select(
    metadata: Annotated[
        Path, typer.Argument(help="Parquet or JSONL file of rows, or a folder of them.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the selected rows.", show_default=False)],
    top: Annotated[
        int | None, typer.Option("--top", min=1, help="Number of rows to keep, the best ones.")
    ] = None,
    rank_by: Annotated[
        str, typer.Option("--rank-by", help="Column of the scores.")
    ] = "clip_similarity_vitl14",
    min_score: Annotated[float | None, typer.Option("--min-score", help="Lowest score to keep.")] = None,
    key: Annotated[str, typer.Option("--key", help="Column that decides between equal scores.")] = "id",
    as_json: AsJson = False,
) -> None:
    """Keep the best rows of metadata by a score, before the images are downloaded.

    The paper's 25M pairs of COYO-700M: vila2 data select coyo-700m/data --top 25000000 -o coyo-25m.parquet
    """
    from vila2.sources.selecting import select_rows

    ranking = select_rows(metadata, out, rank_by=rank_by, key=key, top=top, min_score=min_score)
    if as_json:
        found = {
            "written": str(out),
            "rows": ranking.count,
            "rank_by": rank_by,
            "lowest": ranking.lowest,
            "unread": ranking.unread,
        }
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        unread = f"; {ranking.unread} lines are no rows" if ranking.unread else ""
        typer.echo(f"{quoted(out)}: {ranking.count} rows with {rank_by} from {ranking.lowest:g} up{unread}")


app.command("filter")(filter_)


@app.command()
def link(
    url: Annotated[
        str, typer.Argument(help="URL of a dataset: s3://, gs://, hf:// or http(s)://.", show_default=False)
    ],
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to make.", show_default=False)],
) -> None:
    """Make a folder that stands for a dataset at a URL.

    The images stay there and are read as they are needed; new layers are written to the folder.
    """
    from vila2.data.links import link_dataset
    from vila2.data.remote import remote_url
    from vila2.data.shards import ShardDataset
    from vila2.errors import DataError

    there = remote_url(url)
    if there is None:
        raise DataError(f"{url} is no URL", hint="a URL begins with s3://, gs://, hf://, http:// or https://")
    link_dataset(there, out)
    typer.echo(f"{quoted(out)}: {len(ShardDataset.open(out))} samples of {there}")


@app.command()
def stats(place: Dataset, layer: Layers = None, dataset: OfRun = None, as_json: AsJson = False) -> None:
    """Show the words per caption (mean ± sd, as in the paper's Table 1) of the original text and every layer.

    For a run: all its datasets, with the layers that it wrote.
    """
    from vila2.data.layers import original_layer

    told = []
    for name, (opened, layers) in _datasets(place, dataset, layer or []).items():
        rows = [("original", original_layer(opened).statistics())]
        rows += [(found.name, found.statistics()) for found in layers.values()]
        told.append((name, opened, rows))
    if not as_json:
        typer.echo("\n\n".join(stats_text(opened, rows, name) for name, opened, rows in told))
    elif _is_whole_run(place, dataset):
        found = {name: stats_json(opened, rows) for name, opened, rows in told}
        typer.echo(json.dumps({"run": str(place), "datasets": found}, indent=2, ensure_ascii=False))
    else:
        [(_, opened, rows)] = told
        typer.echo(json.dumps(stats_json(opened, rows), indent=2, ensure_ascii=False))


@app.command()
def preview(
    place: Dataset,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Number of samples.")] = 3,
    start: Annotated[int, typer.Option("--start", min=0, help="Number of the first sample, from 0.")] = 0,
    key: Annotated[str | None, typer.Option("--key", help="Key of the sample to show instead.")] = None,
    view: Annotated[
        str, typer.Option("--view", help="View of the layers, such as concat(original,self-1).")
    ] = "",
    layer: Layers = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Model whose tokens to show, and which of them the loss counts."),
    ] = None,
    style: Annotated[
        str, typer.Option("--style", help="Style of the training text: chat or plain.")
    ] = "chat",
    html: Annotated[
        Path | None, typer.Option("--html", help="File of an HTML page to write, with the images.")
    ] = None,
    dataset: OfRun = None,
) -> None:
    """Show samples as a model sees them: images, turns, and the text that the loss counts.

    For a run: by default samples of the recaptioned dataset.
    """
    from vila2.report.preview import choose_samples, preview_samples, text
    from vila2.report.preview_page import page
    from vila2.run.finding import find_described

    opened, beside = find_described(place, dataset)
    layers = _layers(beside, layer or [])
    samples, note = choose_samples(opened, layers, view, start=start, count=count, key=key)
    with results_alone():
        previews = preview_samples(samples, model, style, layers)
    if html is not None:
        from vila2.data.atomic import write_text_atomic

        write_text_atomic(html, page(f"{opened.name} {view}".strip(), note, previews))
        typer.echo(f"{len(previews)} samples in {quoted(html)}")
    else:
        typer.echo(text(opened, note, previews))


@app.command()
def verify(
    place: Dataset,
    layer: Layers = None,
    dataset: OfRun = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Read a whole dataset and name everything that is broken; the exit code is then 1.

    For a run: all its datasets, with the layers that it wrote.
    """
    from dataclasses import asdict

    from vila2.data.shortening import printable
    from vila2.data.verification import verify_dataset
    from vila2.run.displays import live_progress

    shown = {}
    for name, folder, layers in _to_verify(place, dataset, layer or []):
        with live_progress(quiet=quiet).task(f"verify {name}", None) as task:
            shown[name, folder] = verify_dataset(folder, layers=layers, progress=task)
    if as_json:
        rows = {name: asdict(found) for (name, _), found in shown.items()}
        whole = (
            {"run": str(place), "datasets": rows}
            if _is_whole_run(place, dataset)
            else next(iter(rows.values()))
        )
        typer.echo(json.dumps(whole, indent=2, ensure_ascii=False))
    else:
        for (_, folder), found in shown.items():
            for problem in found.problems:
                typer.echo(printable(f"{problem.where}: {problem.what}"))
            number = len(found.problems)
            state = "all is well" if not number else "1 problem" if number == 1 else f"{number} problems"
            named = f", layers {', '.join(found.layers)}" if found.layers else ""
            typer.echo(f"{quoted(folder)}: {found.samples} samples, {found.images} images{named}: {state}")
    if any(found.problems for found in shown.values()):
        raise typer.Exit(1)


def _is_whole_run(place: Path, dataset: str | None) -> bool:
    from vila2.run.run_model import is_run

    return dataset is None and is_run(place)


def _datasets(
    place: Path, dataset: str | None, elsewhere: list[Path]
) -> dict[str, tuple[ShardDataset, dict[str, Layer]]]:
    """A dataset, or all datasets of a run, with their finished layers, by name."""
    from vila2.run.finding import find_described, run_datasets

    found = run_datasets(place) if _is_whole_run(place, dataset) else {"": find_described(place, dataset)}
    return {name: (opened, _layers(beside, elsewhere)) for name, (opened, beside) in found.items()}


def _to_verify(
    place: Path, dataset: str | None, elsewhere: list[Path]
) -> list[tuple[str, Path | str, list[Path]]]:
    """Name, folder, and outside layers of every dataset to verify."""
    from vila2.data.remote import remote_url
    from vila2.errors import DataError
    from vila2.nearest import nearest_path
    from vila2.run.finding import find_described, run_datasets
    from vila2.run.run_model import is_run

    if near := nearest_path(place):
        raise DataError(f"{place}: no such folder", hint=f"did you mean {near}?")
    if not is_run(place):  # a damaged dataset could not be opened, only verified
        return [(place.name, remote_url(place) or place, elsewhere)]
    found = run_datasets(place) if dataset is None else {dataset: find_described(place, dataset)}
    return [
        (
            name,
            opened.folder,
            [
                folder
                for folder in beside.values()
                if opened.folder not in folder.parents and _finished(folder)
            ]
            + elsewhere,
        )
        for name, (opened, beside) in found.items()
    ]


def _finished(layer: Path) -> bool:
    return (layer / "layer.json").is_file()


def _options(source: str, pairs: list[str]) -> dict[str, Any]:
    """``NAME=VALUE`` pairs as values of the types that the source's options have."""
    from vila2.errors import DataError
    from vila2.sources import source_options

    known = source_options(source)
    options: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise DataError(f"--option {pair!r} has no value", hint="write --option NAME=VALUE")
        kind = str(known[name].annotation) if name in known else "str"  # open_source reports unknown options
        try:
            options[name] = _value(kind, value)
        except ValueError as error:
            raise DataError(f"--option {pair}: not a value of type {kind}", hint=f"{error}") from error
    return options


def _value(kind: str, value: str) -> Any:
    if kind.startswith("bool"):
        if value.lower() not in ("true", "false"):
            raise ValueError("write true or false")
        return value.lower() == "true"
    if kind.startswith("int"):
        return int(value)
    if kind.startswith("float"):
        return float(value)
    if kind.startswith("Sequence"):
        return json.loads(value) if value.startswith("[") else [value]
    return value


def _layers(beside: dict[str, Path], elsewhere: list[Path]) -> dict[str, Layer]:
    """The finished layers of a dataset, and the given outside ones, by name."""
    from vila2.data.layers import Layer

    folders = [folder for folder in beside.values() if _finished(folder)]
    return {layer.name: layer for layer in map(Layer.open, (*folders, *elsewhere))}
