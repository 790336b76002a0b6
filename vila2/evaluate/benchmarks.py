"""Benchmarks: a model is asked about the images of a dataset, and its answers are scored item by item.

What a benchmark asks and measures is its *kind*. Each kind of the core is one value in a file of its own,
named in :data:`KINDS`; :mod:`vila2.evaluate.kinds.kind` shows how to add one. A plugin adds a kind with a
function that scores the answers to the exchanges of a dataset's conversations.

The score of an item is a numerator and a denominator. So precision (correct out of mentioned) and accuracy
(right out of one) get their intervals in the same way, by a bootstrap over images. ``docs/evaluation.md``
defines every measure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from vila2.data.atomic import write_json_atomic
from vila2.data.journal import Journal
from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset
from vila2.engine.journalled import JournalledEngine
from vila2.engine.protocol import Engine
from vila2.errors import DataError, RecipeError
from vila2.evaluate.asking import BenchmarkOutcome, generation
from vila2.evaluate.held_out import ask, choose_questions, said_rows, score_asked
from vila2.evaluate.kinds.kind import BenchmarkKind, needs_image
from vila2.evaluate.measures.items import (
    ITEMS_FILE,
    Items,
    MeasureResult,
    measure_row,
    read_items,
    write_items,
)
from vila2.nearest import did_you_mean
from vila2.plugin.discovery import Installed
from vila2.plugin.host import Host
from vila2.plugin.newly_named import newly_named
from vila2.plugin.references import load_reference
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec

#: The kinds of the core: a reference to a :class:`~vila2.evaluate.kinds.kind.BenchmarkKind` by the kind's
#: name.
KINDS: dict[str, str] = {
    "captions": "vila2.evaluate.kinds.captions:KIND",
    "questions": "vila2.evaluate.kinds.questions:KIND",
    "pope": "vila2.evaluate.kinds.pope:KIND",
    "relations": "vila2.evaluate.kinds.relations:KIND",
    "consistency": "vila2.evaluate.kinds.consistency:KIND",
    "image_text": "vila2.evaluate.kinds.image_text:KIND",
    "choices": "vila2.evaluate.kinds.choices:KIND",
    "alignment": "vila2.evaluate.kinds.alignment:KIND",
}


class ScoredMeasures(TypedDict):
    """The results of a scoring step.

    Attributes:
        measures: a row for each measure of each benchmark.
    """

    measures: list[MeasureResult]


def benchmark_kinds() -> list[str]:
    """Lists the names of all kinds, those of plugins included."""
    return list(dict.fromkeys([*KINDS, *Host().names("benchmark")]))


def find_kind(name: str) -> BenchmarkKind:
    """Finds a kind of benchmark, of the core or of a plugin.

    Args:
        name: name of the kind, as in a recipe.

    Raises:
        RecipeError: there is no kind of that name.
        PluginError: the plugin that brings it is broken.
    """
    if name in KINDS:
        kind: BenchmarkKind = load_reference(KINDS[name], of=f"benchmark {name!r}")
        return kind
    return _brought_kind(brought_benchmark(name))


def brought_benchmark(kind: str) -> Installed:
    """Finds the plugin's benchmark of this name, without importing it.

    Raises:
        RecipeError: no plugin brings it.
        PluginError: two plugins bring it.
    """
    brought = Host().brought("benchmark", kind)
    if brought is None:
        hint = newly_named("benchmark", kind) or did_you_mean(kind, benchmark_kinds())
        raise RecipeError(f"no kind of benchmark {kind!r}", hint=hint)
    return brought


def more_is_better(kind: str, measure: str) -> bool | None:
    """Tells whether more of a measure is better, as far as its name says so before anything is measured.

    Args:
        kind: kind of the benchmark.
        measure: name of the measure; empty for the benchmark as a whole.

    Returns:
        False where less is better, or neither, and for a whole benchmark whose measures do not add up. None
        for a plugin's kind, of which it is not known.
    """
    return find_kind(kind).more_is_better(measure) if kind in KINDS else None


def run_benchmarks(
    engine: Engine,
    benchmarks: Sequence[BenchmarkSpec],
    datasets: Mapping[str, Path],
    folder: Path,
    *,
    seed: int,
    progress: Progress,
) -> ScoredMeasures:
    """Runs benchmarks, and writes ``items.json`` and ``said-NAME.json`` into a folder.

    A run that was killed goes on when it is called again. Finished benchmarks are taken from ``items.json``,
    and whole batches of the next one from its journal; the results are the same.

    Args:
        engine: engine of the model that is measured.
        benchmarks: benchmarks of the recipe.
        datasets: folder of each dataset, by its name in the recipe.
        folder: folder of the step.
        seed: seed of the bootstrap.
        progress: progress that shows a task for each benchmark.

    Returns:
        A row for each measure, with its 95% interval.
    """
    if not (folder / ITEMS_FILE).exists():
        write_items(folder, {})
    items = read_items(folder)
    finished = {measure.partition("/")[0] for measure in items}
    for benchmark in benchmarks:
        name = benchmark.name
        journal = Journal(folder / f"asked-{name}.partial.jsonl")
        if name not in finished:
            samples = _samples(datasets[benchmark.dataset], benchmark.limit)
            asked = JournalledEngine(engine, journal)
            outcome = find_kind(benchmark.kind).run(asked, samples, benchmark, progress)
            write_json_atomic(folder / f"said-{name}.json", outcome.said)
            items |= {f"{name}/{measure}": item for measure, item in outcome.items.items()}
            write_items(folder, items)  # last, since it marks the benchmark as done
        journal.remove()
    return {"measures": [_row(measure, item, seed) for measure, item in items.items()]}


def _samples(dataset: Path, limit: int | None) -> list[Sample]:
    opened = ShardDataset.open(dataset)
    return [opened[index] for index in range(min(len(opened), limit or len(opened)))]


def _row(measure: str, item: Items, seed: int) -> MeasureResult:
    benchmark, _, name = measure.partition("/")
    return measure_row(benchmark, name, item, seed=seed)


def _brought_kind(brought: Installed) -> BenchmarkKind:
    """Makes a kind of a plugin's function, which scores the answers to the exchanges of conversations."""
    score = Host().load_function(brought)

    def run(
        engine: Engine, samples: Sequence[Sample], spec: BenchmarkSpec, progress: Progress
    ) -> BenchmarkOutcome:
        questions = choose_questions(samples, None, seed=0)
        if not questions:
            raise DataError(
                f"benchmark {spec.name!r}: dataset {spec.dataset!r} has no questions with answers",
                hint="name a dataset of conversations",
            )
        asked = ask(
            engine,
            questions,
            generation(spec),
            batch_size=spec.batch_size,
            progress=progress,
            label=f"benchmark {spec.name}",
        )
        items = score_asked(score, asked, of=str(brought))
        return BenchmarkOutcome(items, said_rows(engine, asked))

    return BenchmarkKind(run, _needs_image_and_no_prompt)


def _needs_image_and_no_prompt(spec: BenchmarkSpec, first: Sample) -> None:
    if spec.prompt:
        raise RecipeError(
            f"benchmark {spec.name!r}: {spec.kind!r} asks the questions as they stand",
            hint="leave prompt out",
        )
    needs_image(spec, first)
