"""Benchmarks: ask a model about a dataset's images and score what it says, item by item.

Each kind of the core is a file of its own (:data:`KINDS`); a plugin's benchmark scores the answers to the exchanges of a
sample's conversation. Item scores are kept as (numerator, denominator) pairs, so that precision (correct out of
mentioned) and accuracy (right out of one) get their intervals the same way: a bootstrap over images.
``docs/evaluation.md`` says what every measure is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vila2.data.atomic import write_json_atomic
from vila2.data.journal import Journal
from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset
from vila2.engine.journalled import JournalledEngine
from vila2.engine.protocol import Engine
from vila2.errors import DataError, RecipeError
from vila2.evaluate.asking import Outcome, generation
from vila2.evaluate.held_out import ask, choose_questions, said_rows, score_asked
from vila2.evaluate.measures.items import ITEMS_FILE, Items, measure_row, read_items, write_items
from vila2.nearest import did_you_mean
from vila2.plugin.host import Host, Provided
from vila2.plugin.references import load_reference

#: The kinds of the core: each a function of engine, samples, the benchmark's settings and progress, to an ``Outcome``.
KINDS: dict[str, str] = {
    "captions": "vila2.evaluate.kinds.captions:captions",
    "questions": "vila2.evaluate.kinds.questions:questions",
    "pope": "vila2.evaluate.kinds.pope:pope",
    "relations": "vila2.evaluate.kinds.relations:relations",
    "consistency": "vila2.evaluate.kinds.consistency:consistency",
    "image_text": "vila2.evaluate.kinds.image_text:image_text",
    "choices": "vila2.evaluate.kinds.choices:choices",
    "alignment": "vila2.evaluate.kinds.alignment:alignment",
}

#: Kinds of which every measure is a share of right answers, so that a whole benchmark is a measure too.
_ONE_UNIT = ("questions", "choices")
#: The measures of the other kinds of which less is better, or neither; of one with a setting ("random: said yes") its end.
_MORE_IS_NOT_BETTER = {
    *("hallucinated objects", "captions with a hallucinated object", "marked captions"),
    *("objects that another image's evidence confirms", "trigrams also said of other images"),
    *("words", "words, standard deviation", "said yes", "said true"),
    *("agreement with captions of another image", "false claims said again"),
    "captions longer than the scorer reads",
}


def more_is_better(kind: str, measure: str) -> bool | None:
    """Whether more of a measure is better, as far as its name says it before anything is measured.

    Args:
        kind: of the benchmark.
        measure: its name; empty: the benchmark as a whole.

    Returns:
        False where less is better, or neither, or a whole benchmark's measures do not add up; None of a plugin's.
    """
    if kind not in KINDS:
        return None
    if kind in _ONE_UNIT:
        return True
    name = measure.rpartition(": ")[2]
    return bool(name) and name not in _MORE_IS_NOT_BETTER and not name.startswith("chamfer")


def run_benchmarks(
    engine: Engine,
    benchmarks: Sequence[Mapping[str, Any]],
    datasets: Mapping[str, Path],
    folder: Path,
    *,
    seed: int,
    progress: Any,
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
        name = benchmark["name"]
        journal = Journal(folder / f"asked-{name}.partial.jsonl")
        if name not in finished:
            dataset = ShardDataset.open(datasets[benchmark["dataset"]])
            count = min(len(dataset), benchmark["limit"] or len(dataset))
            samples = [dataset[index] for index in range(count)]
            asked = JournalledEngine(engine, journal)
            outcome = _kind(benchmark["kind"])(asked, samples, benchmark, progress)
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
        raise RecipeError(f"no kind of benchmark {kind!r}", mend=did_you_mean(kind, [*KINDS, *brought]))
    return brought[kind]


def benchmark_kinds() -> list[str]:
    """Every kind there is, those of plugins included."""
    return [*KINDS, *Host().benchmarks()]


def _kind(name: str) -> Callable[[Engine, Sequence[Sample], Mapping[str, Any], Any], Outcome]:
    return load_reference(KINDS[name], of=f"benchmark {name!r}") if name in KINDS else _brought


def _brought(
    engine: Engine, samples: Sequence[Sample], benchmark: Mapping[str, Any], progress: Any
) -> Outcome:
    provided = brought_benchmark(benchmark["kind"])
    questions = choose_questions(samples, None, seed=0)
    if not questions:
        raise DataError(
            f"benchmark {benchmark['name']!r}: dataset {benchmark['dataset']!r} has no questions with answers",
            mend="name a dataset of conversations",
        )
    label = f"benchmark {benchmark['name']}"
    settings, size = generation(benchmark), benchmark["batch_size"]
    asked = ask(engine, questions, settings, batch_size=size, progress=progress, label=label)
    items = score_asked(provided.load(), asked, of=f"{provided.plugin}, benchmark {provided.name!r}")
    return Outcome(items, said_rows(engine, asked))
