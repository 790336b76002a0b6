"""Runs the published benchmarks whose files are there, and says of the others what to fetch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from vila2.data.atomic import write_json_atomic
from vila2.data.journal import Journal
from vila2.data.parsing import read_json
from vila2.data.rejects import Reject
from vila2.engine.careful_asking import or_empty
from vila2.engine.in_order import ask_batches
from vila2.engine.journalled import JournalledEngine
from vila2.engine.protocol import Engine, GenerationSettings, Request
from vila2.errors import DataError, RunError
from vila2.evaluate.measures.items import MeasureResult, measure_row
from vila2.evaluate.suite.published_question import AnsweredQuestion, PublishedQuestion
from vila2.evaluate.suite.thirteen import COCO, THIRTEEN, PublishedBenchmark
from vila2.progress import Progress

State = Literal["measured", "answered", "missing", "wrong"]

_JOB = "suite.json"


@dataclass(frozen=True, slots=True)
class BenchmarkState:
    """What became of a benchmark.

    Attributes:
        name: name of its folder.
        title: name as its authors write it.
        state: "measured"; "answered": a judge has to score it; "missing": its files are not there; "wrong":
            they are and cannot be read.
        questions: number of questions that were answered.
        left_out: number of questions that could not be asked, by reason.
        measures: its measures with their intervals.
        fetch: what to fetch, and where to put it.
        note: in what its figure differs from the paper's.
        told: what is wrong, or the file of the answers.
    """

    name: str
    title: str
    state: State
    questions: int = 0
    left_out: Mapping[str, int] | None = None
    measures: tuple[MeasureResult, ...] = ()
    fetch: tuple[str, ...] = ()
    note: str = ""
    told: str = ""

    def to_json(self) -> dict[str, Any]:
        """Gives all fields as JSON values."""
        return asdict(self)


def chosen_benchmarks(names: Sequence[str]) -> tuple[PublishedBenchmark, ...]:
    """Chooses benchmarks by name; all for no names.

    Raises:
        DataError: there is none of a name.
    """
    from vila2.nearest import did_you_mean

    known = {one.name: one for one in THIRTEEN}
    for name in names:
        if name not in known:
            raise DataError(f"no benchmark {name!r}", hint=did_you_mean(name, known))
    return tuple(known[name] for name in names) or THIRTEEN


def is_any_here(data: Path, benchmarks: Sequence[PublishedBenchmark]) -> bool:
    """Tells whether the files of any of the benchmarks are there."""
    return any(one.is_in(data / one.name) for one in benchmarks)


def missing(benchmark: PublishedBenchmark, data: Path) -> BenchmarkState:
    """Says of a benchmark what to fetch."""
    fetch = tuple(line.replace("FOLDER", str(data)) for line in benchmark.fetch)
    return BenchmarkState(benchmark.name, benchmark.title, "missing", fetch=fetch, note=benchmark.note)


def run_suite(
    engine: Engine,
    benchmarks: Sequence[PublishedBenchmark],
    data: Path,
    out: Path,
    *,
    limit: int | None,
    batch_size: int,
    seed: int,
    progress: Progress,
) -> list[BenchmarkState]:
    """Runs benchmarks one after the other; a killed run goes on, and finished ones are not asked again.

    Args:
        engine: engine of the model.
        benchmarks: benchmarks to run, those whose files are missing among them.
        data: folder with a folder for each benchmark.
        out: folder of the results.
        limit: number of questions of each at most, the first of the file; None: all.
        batch_size: number of questions that are asked together.
        seed: seed of the bootstrap.
        progress: progress that shows a task for each benchmark.

    Raises:
        RunError: the folder holds the results of another model or limit.
    """
    out.mkdir(parents=True, exist_ok=True)
    _check_job(out, {"model": engine.digest, "limit": limit})
    states = []
    for one in benchmarks:
        if not one.is_in(data / one.name):
            states.append(missing(one, data))
            continue
        try:
            states.append(_run_one(engine, one, data, out, limit, batch_size, seed, progress))
        except DataError as error:
            told = f"{error.what}; {error.hint}" if error.hint else error.what
            fetch = missing(one, data).fetch
            states.append(BenchmarkState(one.name, one.title, "wrong", fetch=fetch, told=told))
    return states


def _check_job(out: Path, job: dict[str, Any]) -> None:
    file = out / _JOB
    if file.is_file() and read_json(file, hint="delete the folder") != job:
        raise RunError(
            f"{out} holds the results of another model, or of another --limit", hint="give another --out"
        )
    write_json_atomic(file, job)


def _run_one(
    engine: Engine,
    benchmark: PublishedBenchmark,
    data: Path,
    out: Path,
    limit: int | None,
    batch_size: int,
    seed: int,
    progress: Progress,
) -> BenchmarkState:
    journal = Journal(out / f"asked-{benchmark.name}.jsonl")
    left_out: Counter[str] = Counter()
    questions = islice(_kept(benchmark.read(data / benchmark.name, data / COCO), left_out), limit)
    answered: list[AnsweredQuestion] = []
    settings = GenerationSettings(benchmark.max_new_tokens)

    def requests(batch: Sequence[PublishedQuestion]) -> list[Request]:
        return [Request(one.item, one.images, one.prompt) for one in batch]

    with progress.task(benchmark.title) as task:
        asked = ask_batches(
            JournalledEngine(engine, journal), _batches(questions, batch_size), requests, settings
        )
        for batch, answers in asked:
            for one, answer in zip(batch, answers, strict=True):
                text = or_empty(answer, one.item, about=benchmark.title).text
                answered.append((replace(one, images=()), text))
            task.advance(len(batch))
    if not answered:
        raise DataError(f"{data / benchmark.name}: no question can be asked ({_counted(left_out)})")
    _write_said(out / f"said-{benchmark.name}.json", answered)
    done = BenchmarkState(
        benchmark.name, benchmark.title, "measured", len(answered), dict(left_out), note=benchmark.note
    )
    if benchmark.write is not None:
        return replace(done, state="answered", told=str(benchmark.write(answered, engine.name, out)))
    assert benchmark.score is not None, "a benchmark is scored here or by a judge"
    scored = benchmark.score(answered)
    measures = tuple(measure_row(benchmark.title, name, one, seed=seed) for name, one in scored.items())
    return replace(done, measures=measures)


def _kept(
    questions: Iterator[PublishedQuestion | Reject], left_out: Counter[str]
) -> Iterator[PublishedQuestion]:
    for one in questions:
        if isinstance(one, Reject):
            left_out[one.reason] += 1
        else:
            yield one


def _batches(questions: Iterator[PublishedQuestion], size: int) -> Iterator[list[PublishedQuestion]]:
    while batch := list(islice(questions, size)):
        yield batch


def _write_said(path: Path, answered: Sequence[AnsweredQuestion]) -> None:
    rows = [
        {"item": one.item, "kind": one.group, "question": one.prompt, "answers": one.answers, "said": text}
        for one, text in answered
    ]
    write_json_atomic(path, rows)


def _counted(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in left_out.items()) or "the files hold none"
