"""Benchmarks: ask a model about a dataset's images and score what it says, item by item.

``captions`` asks for a description of each image, ``questions`` asks each question that a sample carries;
``choices`` and ``alignment`` look into the model (:mod:`vila2.evaluate.choices`, :mod:`vila2.evaluate.alignment`); a
plugin's benchmark scores the answers to the exchanges of a sample's conversation. Item scores are kept as (numerator, denominator) pairs, so that precision (correct out
of mentioned) and accuracy (right out of one) get their intervals the same way: a bootstrap over items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vila2.caption.engine import Answer, Engine, GenerationSettings, Request
from vila2.data.atomic import write_json_atomic
from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset
from vila2.errors import DataError, RecipeError
from vila2.evaluate.answers import exact_match
from vila2.evaluate.captions import Items, measure_row, score_captions
from vila2.evaluate.held_out import ask, choose_questions, said_rows, score_asked
from vila2.plugin.host import Host, Provided
from vila2.run.nearest import did_you_mean


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one sample, with its right answer and the skill it asks for."""

    item: str
    sample: Sample
    kind: str
    question: str
    answer: str


@dataclass(slots=True)
class Outcome:
    """What a benchmark found: items by measure, and what the model said."""

    items: dict[str, Items] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)


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

    Returns:
        ``measures``: one row per number, each with its 95% interval.
    """
    measures, items = [], {}
    for benchmark in benchmarks:
        dataset = ShardDataset.open(datasets[benchmark["dataset"]])
        count = min(len(dataset), benchmark["limit"] or len(dataset))
        samples = [dataset[index] for index in range(count)]
        outcome = KINDS.get(benchmark["kind"], _brought)(engine, samples, benchmark, progress)
        write_json_atomic(folder / f"said-{benchmark['name']}.json", outcome.said)
        for name, item in outcome.items.items():
            measures.append(measure_row(benchmark["name"], name, item, seed=seed))
            items[f"{benchmark['name']}/{name}"] = asdict(item)
    write_json_atomic(folder / "items.json", items)
    return {"measures": measures}


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


def questions_of(sample: Sample) -> list[Question]:
    """The questions a sample carries: ``meta["questions"]``, or else the exchanges of its conversation."""
    if "questions" in sample.meta:
        rows = [(q["kind"], q["question"], q["answer"]) for q in sample.meta["questions"]]
    else:
        kind = sample.meta.get("kind", "all")
        pairs = zip(sample.turns, sample.turns[1:], strict=False)
        rows = [(kind, a.text.strip(), b.text) for a, b in pairs if (a.role, b.role) == ("user", "assistant")]
    return [Question(f"{sample.key}#{n}", sample, *row) for n, row in enumerate(rows)]


def _captions(
    engine: Engine, samples: Sequence[Sample], benchmark: Mapping[str, Any], progress: Any
) -> Outcome:
    prompt = benchmark["prompt"] or "Describe the image in details."
    requests = [Request(sample.key, sample.images, prompt) for sample in samples]
    answers = _ask(engine, requests, benchmark, progress)
    texts = [answer.text for answer in answers]
    said = [{"key": s.key, "prompt": prompt, "text": text} for s, text in zip(samples, texts, strict=True)]
    return Outcome(score_captions(samples, texts), said)


def _questions(
    engine: Engine, samples: Sequence[Sample], benchmark: Mapping[str, Any], progress: Any
) -> Outcome:
    questions = [question for sample in samples for question in questions_of(sample)]
    form = benchmark["prompt"] or "{question}"
    requests = [Request(q.item, q.sample.images, form.replace("{question}", q.question)) for q in questions]
    answers = _ask(engine, requests, benchmark, progress)
    outcome = Outcome()
    right = [float(exact_match(a.text, q.answer)) for a, q in zip(answers, questions, strict=True)]
    for kind in dict.fromkeys(question.kind for question in questions):
        outcome.items[kind] = _by_sample(
            [(q, r) for q, r in zip(questions, right, strict=True) if q.kind == kind]
        )
    for question, answer, score in zip(questions, answers, right, strict=True):
        outcome.said.append(
            {"item": question.item, "kind": question.kind, "question": question.question}
            | {"answer": question.answer, "said": answer.text, "right": bool(score)}
        )
    return outcome


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
    settings, size = _generation(benchmark), benchmark["batch_size"]
    asked = ask(engine, questions, settings, batch_size=size, progress=progress, label=label)
    items = score_asked(provided.load(), asked, of=f"{provided.plugin}, benchmark {provided.name!r}")
    return Outcome(items, said_rows(engine, asked))


def _choices(
    engine: Engine, samples: Sequence[Sample], benchmark: Mapping[str, Any], progress: Any
) -> Outcome:
    from vila2.evaluate.choices import choose

    chosen = choose(engine.model, engine.processor, samples, _task(benchmark, progress))
    outcome = Outcome()
    kinds = [str(sample.meta.get("kind", "all")) for sample in samples]
    right = [float(choice == sample.meta["answer"]) for sample, choice in zip(samples, chosen, strict=True)]
    for kind in dict.fromkeys(kinds):
        own = [n for n, other in enumerate(kinds) if other == kind]
        outcome.items[kind] = Items.of_means([samples[n].key for n in own], [right[n] for n in own])
    for sample, choice, score in zip(samples, chosen, right, strict=True):
        choices = sample.meta["choices"]
        outcome.said.append(
            {
                "item": sample.key,
                "kind": sample.meta.get("kind", "all"),
                "answer": choices[sample.meta["answer"]],
            }
            | {"said": choices[choice], "right": bool(score)}
        )
    return outcome


def _alignment(
    engine: Engine, samples: Sequence[Sample], benchmark: Mapping[str, Any], progress: Any
) -> Outcome:
    from vila2.evaluate.alignment import alignment_items

    return Outcome(alignment_items(engine.model, engine.processor, samples, _task(benchmark, progress)))


def _task(benchmark: Mapping[str, Any], progress: Any) -> Any:
    return lambda total: progress.task(f"benchmark {benchmark['name']}", total)


#: The kinds of the core; a plugin may bring others.
KINDS = {"captions": _captions, "questions": _questions, "choices": _choices, "alignment": _alignment}


def _by_sample(scored: Sequence[tuple[Question, float]]) -> Items:
    """Right answers out of questions, sample by sample: questions about one image are not independent."""
    right: dict[str, list[float]] = {}
    for question, score in scored:
        right.setdefault(question.sample.key, []).append(score)
    return Items(
        list(right), [sum(own) for own in right.values()], [float(len(own)) for own in right.values()]
    )


def _ask(
    engine: Engine, requests: Sequence[Request], benchmark: Mapping[str, Any], progress: Any
) -> list[Answer]:
    settings = _generation(benchmark)
    size = benchmark["batch_size"]
    # Prompts of one length together: nothing is padded, and the answer does not depend on its neighbours.
    order = sorted(range(len(requests)), key=lambda n: (len(requests[n].prompt), requests[n].key))
    answers: dict[int, Answer] = {}
    with progress.task(f"benchmark {benchmark['name']}", len(requests)) as task:
        for start in range(0, len(order), size):
            chunk = order[start : start + size]
            for n, answer in zip(chunk, engine.generate([requests[n] for n in chunk], settings), strict=True):
                answers[n] = answer
            task.advance(len(chunk))
    return [answers[n] for n in range(len(requests))]


def _generation(benchmark: Mapping[str, Any]) -> GenerationSettings:
    return GenerationSettings(
        max_new_tokens=benchmark["max_new_tokens"], repetition_penalty=benchmark["repetition_penalty"]
    )
