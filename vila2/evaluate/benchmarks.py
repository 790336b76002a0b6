"""Benchmarks: ask a model about a dataset's images and score what it says, item by item.

Each kind of the core is a file of its own (:data:`KINDS`); a plugin's benchmark scores the answers to the exchanges of a
sample's conversation. Item scores are kept as (numerator, denominator) pairs, so that precision (correct out of
mentioned) and accuracy (right out of one) get their intervals the same way: a bootstrap over images.
``docs/evaluation.md`` says what every measure is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
from vila2.evaluate.measures.items import ITEMS_FILE, Items, measure_row, read_items, write_items
from vila2.nearest import did_you_mean
from vila2.plugin.host import Host, Provided
from vila2.plugin.references import load_reference
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec

#: The kinds of the core, by name; each is a :class:`~vila2.evaluate.kinds.kind.BenchmarkKind` in a file of its own.
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


def find_kind(name: str) -> BenchmarkKind:
    """A kind of benchmark by its name: of the core, or of a plugin.

    Raises:
        RecipeError: there is none of that name.
        PluginError: the plugin that brings it is broken.
    """
    if name in KINDS:
        return load_reference(KINDS[name], of=f"benchmark {name!r}")
    return _brought_kind(brought_benchmark(name))


def more_is_better(kind: str, measure: str) -> bool | None:
    """Whether more of a measure is better, as far as its name says it before anything is measured.

    Args:
        kind: kind of the benchmark.
        measure: its name; empty: the benchmark as a whole.

    Returns:
        False where less is better, or neither, or a whole benchmark's measures do not add up; None of a plugin's.
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
) -> dict[str, Any]:
    """Runs every benchmark and writes ``items.json`` and ``said-NAME.json`` into ``folder``.

    Killed at any moment and called again, it takes finished benchmarks from ``items.json``, and of the next one the
    answers to whole batches from its journal; what it finds is the same.

    Returns:
        ``measures``: one row per number, each with its 95% interval.
    """
    if not (folder / ITEMS_FILE).exists():
        write_items(folder, {})
    items = read_items(folder)
    finished = {measure.partition("/")[0] for measure in items}
    for benchmark in benchmarks:
        name = benchmark.name
        journal = Journal(folder / f"asked-{name}.partial.jsonl")
        if name not in finished:
            dataset = ShardDataset.open(datasets[benchmark.dataset])
            count = min(len(dataset), benchmark.limit or len(dataset))
            samples = [dataset[index] for index in range(count)]
            asked = JournalledEngine(engine, journal)
            outcome = find_kind(benchmark.kind).run(asked, samples, benchmark, progress)
            write_json_atomic(folder / f"said-{name}.json", outcome.said)
            items |= {f"{name}/{measure}": item for measure, item in outcome.items.items()}
            write_items(folder, items)  # last: it is what says that the benchmark is done
        journal.remove()
    return {"measures": [_row(measure, item, seed) for measure, item in items.items()]}


def _row(measure: str, item: Items, seed: int) -> dict[str, Any]:
    benchmark, _, name = measure.partition("/")
    return measure_row(benchmark, name, item, seed=seed)


def brought_benchmark(kind: str) -> Provided:
    """The benchmark of this name that a plugin brings.

    Raises:
        RecipeError: none does.
    """
    brought = Host().benchmarks()
    if kind not in brought:
        raise RecipeError(f"no kind of benchmark {kind!r}", hint=did_you_mean(kind, [*KINDS, *brought]))
    return brought[kind]


def benchmark_kinds() -> list[str]:
    """Every kind there is, those of plugins included."""
    return [*KINDS, *Host().benchmarks()]


def _brought_kind(provided: Provided) -> BenchmarkKind:
    """A plugin's benchmark as a kind: it scores the answers to the exchanges of a sample's conversation."""
    score = provided.load()

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
        items = score_asked(score, asked, of=f"{provided.plugin}, benchmark {provided.name!r}")
        return BenchmarkOutcome(items, said_rows(engine, asked))

    return BenchmarkKind(run, _needs_image_and_no_prompt)


def _needs_image_and_no_prompt(spec: BenchmarkSpec, first: Sample) -> None:
    if spec.prompt:
        raise RecipeError(
            f"benchmark {spec.name!r}: {spec.kind!r} asks the questions as they stand",
            hint="leave prompt out",
        )
    needs_image(spec, first)
