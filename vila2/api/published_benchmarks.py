"""``vila2.benchmark``: a model on the thirteen published benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vila2 import __version__
from vila2.data.atomic import write_json_atomic
from vila2.engine.registry import open_engine
from vila2.evaluate.suite.suite_run import (
    BenchmarkState,
    chosen_benchmarks,
    is_any_here,
    missing,
    run_suite,
)
from vila2.recipe.parts.engine import EngineSpec
from vila2.recipe.parts.values import DEFAULT_ENGINE
from vila2.report.page import write_report
from vila2.report.published_scores import SUITES, with_published
from vila2.report.results_page import ModelResult, RecipeText, Results, read_results
from vila2.report.run_facts import read_facts
from vila2.run.displays import live_progress
from vila2.run.run_model import is_run

SUITE = "paper"
#: Folder of the benchmarks' files, where none is named.
DATA = "benchmarks"


@dataclass(frozen=True, slots=True)
class SuiteOutcome:
    """What became of every benchmark.

    Attributes:
        model: name of the model; empty where nothing was asked.
        states: benchmarks, in the order of the papers' tables.
        folder: folder of the answers and results; None where nothing was asked.
        report: page with the scores: that of the run, where the model is a run's.
    """

    model: str
    states: tuple[BenchmarkState, ...]
    folder: Path | None
    report: Path | None

    def to_json(self) -> dict[str, Any]:
        """Gives all as JSON values."""
        paths = {"folder": self.folder, "report": self.report}
        return {
            "model": self.model,
            "benchmarks": [state.to_json() for state in self.states],
            **{name: None if path is None else str(path) for name, path in paths.items()},
        }


def benchmark(
    model: Path | str,
    data: Path | str = DATA,
    *,
    only: Sequence[str] = (),
    out: Path | str | None = None,
    limit: int | None = None,
    batch_size: int = 16,
    seed: int = 0,
    engine: EngineSpec | str = DEFAULT_ENGINE,
    quiet: bool = True,
    **loading: Any,
) -> SuiteOutcome:
    """Measures a model on those of thirteen benchmarks whose files are there; resumes where it was killed.

    Args:
        model: folder of a run or a model, hub id, or the name that a server has for it.
        data: folder with a folder of each benchmark's files.
        only: names of benchmarks; by default all.
        out: folder of answers and results; by default ``suites/paper`` of the run, or ``suite-MODEL``.
        limit: number of questions of each benchmark at most.
        batch_size: number of questions that are asked together.
        seed: seed of the intervals.
        engine: engine that runs the model, by name or with options.
        quiet: whether to show no progress.
        loading: how the model is loaded: ``device``, ``dtype``, ``trust_remote_code``.

    Returns:
        What became of every benchmark: measured, waiting for a judge, or what to fetch.

    Raises:
        DataError: there is no benchmark of a name.
        ModelError: there is no such model.
        RunError: ``out`` holds the results of another model.

    Example:
        >>> vila2.benchmark("runs/mine", "benchmarks", only=["gqa"]).states[0].measures
    """
    chosen, place = chosen_benchmarks(only), Path(model)
    if not is_any_here(Path(data), chosen):
        return SuiteOutcome("", tuple(missing(one, Path(data)) for one in chosen), None, None)
    run = place if is_run(place) else None
    folder = (
        Path(out) if out else run / SUITES / SUITE if run else Path("suite-" + place.name.replace(":", "-"))
    )
    opened = open_engine(engine, str(model), **loading)
    states = run_suite(
        opened,
        chosen,
        Path(data),
        folder,
        limit=limit,
        batch_size=batch_size,
        seed=seed,
        progress=live_progress(quiet=quiet),
    )
    report = _write_report(opened.name, states, folder, run if out is None else None, seed)
    return SuiteOutcome(opened.name, tuple(states), folder, report)


def _write_report(
    model: str, states: Sequence[BenchmarkState], folder: Path, run: Path | None, seed: int
) -> Path:
    """Writes the results of the suite, and the report: of the run, if it is finished, else one of its own."""
    measures = [measure for state in states for measure in state.measures]
    notes = [f"{state.title}: {_note(state)}" for state in states if state.state != "missing"]
    results = Results(
        title=f"{model} on published benchmarks",
        recipe=RecipeText(name=SUITE, seed=seed),
        vila2_version=__version__,
        models=(ModelResult.model_validate({"name": model, "round": 0, "measures": measures}),),
        notes=tuple(notes),
    )
    write_json_atomic(folder / "results.json", results.to_json())
    write_report(results, folder / "report.html")
    if run is None or not (run / "results.json").is_file():
        return folder / "report.html"
    write_report(
        with_published(read_results(run / "results.json"), run), run / "report.html", read_facts(run)
    )
    return run / "report.html"


def _note(state: BenchmarkState) -> str:
    left_out = "".join(f"; {reason} {count}" for reason, count in (state.left_out or {}).items())
    told = f"; {state.told}" if state.told else ""
    return f"{state.questions} questions{left_out}{told}{f'; {state.note}' if state.note else ''}"
