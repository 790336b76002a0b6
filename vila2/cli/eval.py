"""``vila2 eval``: a model on published benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vila2.cli.options import (
    AsJson,
    Device,
    Dtype,
    EngineOptions,
    ModelEngine,
    Quiet,
    TrustRemoteCode,
    Verbose,
    chosen_engine,
    given,
    quoted,
    results_alone,
)

if TYPE_CHECKING:
    from vila2.api.published_benchmarks import SuiteOutcome
    from vila2.evaluate.measures.items import MeasureResult
    from vila2.evaluate.suite.suite_run import BenchmarkState


def eval(
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_MODEL",
            help="Folder of a run or a model, hub id, or a server's name for it.",
            show_default=False,
        ),
    ],
    suite: Annotated[
        str, typer.Option("--suite", metavar="[paper]", help="paper: the benchmarks of the papers' tables.")
    ] = "paper",
    data: Annotated[
        Path,
        typer.Option(
            "--data", help="Folder with a folder of each benchmark's files, as its authors publish them."
        ),
    ] = Path("benchmarks"),
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Benchmark to run, such as gqa. May be repeated.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder of answers and results; by default RUN/suites/paper, or suite-MODEL."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Number of questions of each benchmark at most, the first."),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", "-b", min=1, help="Number of questions to ask at a time.")
    ] = 16,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the intervals.")] = 0,
    device: Device = None,
    dtype: Dtype = None,
    engine_name: ModelEngine = None,
    engine_options: EngineOptions = None,
    trust_remote_code: TrustRemoteCode = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure a model on those of the papers' thirteen benchmarks whose files are here.

    Of the others it says what to fetch and where to put it. The scores, with 95% intervals, go into the
    report of the run. The same command continues after a stop.
    """
    from vila2.api.published_benchmarks import SUITE, benchmark
    from vila2.errors import DataError

    if suite != SUITE:
        raise DataError(f"no suite {suite!r}", hint=f"there is: {SUITE}")
    with results_alone():
        outcome = benchmark(
            model,
            data,
            only=only or (),
            out=out,
            limit=limit,
            batch_size=batch_size,
            seed=seed,
            engine=chosen_engine(engine_name, engine_options),
            quiet=quiet,
            **given(device=device, dtype=dtype, trust_remote_code=trust_remote_code),
        )
    if as_json:
        typer.echo(json.dumps(outcome.to_json(), ensure_ascii=False))
    else:
        _show(outcome)


def _show(outcome: SuiteOutcome) -> None:
    from vila2.cli.tables import show_table

    rows = [
        [state.title, measure["name"], *_values(measure), state.questions]
        for state in outcome.states
        for measure in state.measures
    ]
    if rows:
        show_table(["benchmark", "measure", "value", "95% interval", "questions"], rows)
    for state in outcome.states:
        for line in _lines(state):
            typer.echo(line)
    if outcome.report:
        typer.echo(f"report      {quoted(outcome.report)}\nanswers     {quoted(outcome.folder or '')}")


def _values(measure: MeasureResult) -> tuple[str, str]:
    value, low, high = measure["value"], measure["low"], measure["high"]
    if value is None or low is None or high is None:
        return "-", "-"
    scale = 100 if measure["unit"] == "share" else 1
    return f"{scale * value:.1f}", f"{scale * low:.1f} to {scale * high:.1f}"


def _lines(state: BenchmarkState) -> list[str]:
    if state.state == "missing":
        return [f"{state.title}: not here; fetch", *(f"  {line}" for line in state.fetch)]
    if state.state == "wrong":
        return [f"{state.title}: {state.told}", *(f"  {line}" for line in state.fetch)]
    left_out = ", ".join(f"{reason} {count}" for reason, count in (state.left_out or {}).items())
    lines = [f"{state.title}: not asked: {left_out}"] if left_out else []
    if state.state == "answered":
        lines.append(f"{state.title}: {state.note}: {quoted(state.told)}")
    return lines
