"""``vila2 judge``: compares how well layers describe the images; an engine or a person judges, blind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vila2.cli.options import (
    AsJson,
    Device,
    Dtype,
    EngineOptions,
    ModelEngine,
    Quiet,
    RunDataset,
    Verbose,
    chosen_engine,
    given,
    quoted,
    results_alone,
)

if TYPE_CHECKING:
    from vila2.judge.judging_job import Work
    from vila2.judge.votes import VoteBook
    from vila2.recipe.parts.engine import EngineSpec
    from vila2.report.judged_results import Judged, JudgeEntry

COUNT = 5000  # the number of images that the paper's judges saw


def judge(
    source: Annotated[
        Path, typer.Argument(metavar="DATASET_OR_RUN", help="Folder of a dataset or of a run.")
    ],
    layers: Annotated[
        str, typer.Option("--layers", "-l", help="Names of two or more layers, such as original,self-1.")
    ] = "original,self-1",
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Model that judges: hub id or folder.")
    ] = None,
    engine_name: ModelEngine = None,
    engine_options: EngineOptions = None,
    human: Annotated[bool, typer.Option("--human", help="Judge yourself, on a local page.")] = False,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Number of pairs at most.")] = COUNT,
    check: Annotated[
        bool,
        typer.Option("--check", help="Also test whether the judge tells an image's caption from another's."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder of the results; by default DATASET_OR_RUN/judge/JUDGE/LAYERS."
        ),
    ] = None,
    dataset: RunDataset = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed for the choice of images, pairs and sides.")] = 0,
    batch_size: Annotated[
        int, typer.Option("--batch-size", "-b", min=1, help="Number of pairs to judge at a time.")
    ] = 4,
    max_new_tokens: Annotated[
        int,
        typer.Option(
            "--max-new-tokens",
            min=1,
            help="Number of tokens of an answer at most; give more to a model that thinks first.",
        ),
    ] = 64,
    device: Device = None,
    dtype: Dtype = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of the page; 0: any free one.")
    ] = 0,
    open_page: Annotated[
        bool, typer.Option("--open", help="With --human, open the page in a browser.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compare layers pair by pair: an engine sees every pair in both orders, a person in one.

    The same command continues after a stop. The folder --out holds the votes, judged.json and report.html.
    """
    from vila2.errors import RecipeError
    from vila2.judge.judging_job import Work, write_judged
    from vila2.report.judge_page import write_judge_page
    from vila2.run.finding import open_described

    if human == (model is not None):
        raise RecipeError("a judge is an engine or a person", hint="give --model MODEL, or --human")
    names = [name.strip() for name in layers.split(",") if name.strip()]
    opened, found = open_described(source, names, dataset)
    work = Work.choose(opened, found, count=count, check=check, seed=seed)
    folder = out or source / "judge" / _slug("human" if human else str(model)) / "+".join(names)
    if human:
        voting = _by_person(work, folder, port, open_page)
    else:
        options = given(device=device, dtype=dtype)
        voting = _by_engine(
            work,
            folder,
            chosen_engine(engine_name, engine_options),
            str(model),
            options,
            max_new_tokens,
            batch_size,
            quiet,
        )
    with results_alone(), voting as (described, book):
        results = write_judged(folder, work, described, book)
        write_judge_page(results, folder / "report.html")
    _show(results, folder, as_json)


@contextmanager
def _by_engine(
    work: Work,
    folder: Path,
    chosen: EngineSpec,
    model: str,
    options: dict[str, Any],
    max_new_tokens: int,
    batch_size: int,
    quiet: bool,
) -> Iterator[tuple[JudgeEntry, VoteBook]]:
    from vila2.engine.protocol import GenerationSettings
    from vila2.engine.registry import open_engine
    from vila2.judge.engine_votes import ask_pairs
    from vila2.judge.judging_job import check_votes, describe_engine, open_votes
    from vila2.run.displays import live_progress

    settings = GenerationSettings(max_new_tokens)
    check_votes(folder, work)
    engine = open_engine(chosen, model, **options)
    described = describe_engine(engine, settings)
    with open_votes(folder, work, described) as book:
        ask_pairs(
            work.pairs,
            work.dataset,
            engine,
            book,
            settings=settings,
            batch_size=batch_size,
            progress=live_progress(quiet=quiet),
        )
        yield described, book


@contextmanager
def _by_person(work: Work, folder: Path, port: int, open_page: bool) -> Iterator[tuple[JudgeEntry, VoteBook]]:
    from vila2.judge.judging_job import PERSON, open_votes
    from vila2.judge.person import Session
    from vila2.judge.server import serve

    with open_votes(folder, work, PERSON) as book:
        session = Session(work.pairs, work.dataset, book, seed=work.seed)
        with serve(session, port=port) as server:
            typer.echo(f"judge at {server.url}\nCtrl-C, or Finish on the page, counts the votes", err=True)
            if open_page:
                import webbrowser

                webbrowser.open(server.url)
            try:
                while not server.finished.wait(0.5):  # on some systems, Ctrl-C does not end an endless wait
                    pass
            except KeyboardInterrupt:
                typer.echo("", err=True)
        yield PERSON, book


def _slug(name: str) -> str:
    """The last part of a name, in a form that a folder can have."""
    import re

    return re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(name).name).strip("-.") or "judge"


def _show(results: Judged, folder: Path, as_json: bool) -> None:
    from vila2.report.judge_page import match_table, sentences, strength_table

    if as_json:
        shown = {name: value for name, value in results.items() if name != "examples"}
        shown |= {"folder": str(folder), "report": str(folder / "report.html")}
        typer.echo(json.dumps(shown, ensure_ascii=False))
        return
    from vila2.cli.tables import show_table

    for headings, rows in (match_table(results, short=True), strength_table(results)):
        if rows:
            show_table(headings, rows)
    for sentence in sentences(results):
        typer.echo(sentence)
    typer.echo(f"report: {quoted(folder / 'report.html')}")
