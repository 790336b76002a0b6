"""Asking: what all kinds of benchmarks that generate share, and the outcome that every kind returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypedDict

from vila2.engine.careful_asking import or_empty
from vila2.engine.in_order import ask_batches
from vila2.engine.protocol import Answer, Engine, GenerationSettings, Request
from vila2.evaluate.measures.items import Items
from vila2.progress import Progress, Task
from vila2.recipe.parts.evaluate import BenchmarkSpec

#: Starts a task of the progress, given how much there is to do.
TaskOf = Callable[[int], AbstractContextManager[Task]]


class SaidRow(TypedDict, total=False):
    """A row of ``said-NAME.json``: what a model said once. A kind of benchmark writes the keys that it has.

    Attributes:
        key: key of the sample, where each sample is asked once.
        item: name of the question, where a sample is asked several.
        kind: kind of the question.
        prompt: prompt for a caption.
        question: question as the model read it.
        answer: right answer.
        text: caption that the model wrote.
        status: mark of the caption, "ok" or why it is not usable.
        said: answer of the model.
        read: what was read from the answer, "yes", "no" or None.
        right: whether the answer is right.
    """

    key: str
    item: str
    kind: str
    prompt: str
    question: str
    answer: str
    text: str
    status: str
    said: str
    read: str | None
    right: bool


@dataclass(slots=True)
class BenchmarkOutcome:
    """The outcome of a benchmark for one model.

    Attributes:
        items: item scores by measure.
        said: rows of ``said-NAME.json``; empty where nothing was asked.
    """

    items: dict[str, Items] = field(default_factory=dict)
    said: list[SaidRow] = field(default_factory=list)


def ask_all(
    engine: Engine,
    requests: Sequence[Request],
    benchmark: BenchmarkSpec,
    progress: Progress,
    *,
    temperature: float = 0.0,
) -> list[Answer]:
    """Asks an engine in batches and returns its answers, in the order of the requests.

    Args:
        engine: engine to ask.
        requests: requests with different keys.
        benchmark: spec that says how answers are generated, and in which batches.
        progress: progress that shows a task of the benchmark's name.
        temperature: temperature of sampling; 0 takes the likeliest token each time.
    """
    settings = generation(benchmark, temperature=temperature)
    with task_of(benchmark, progress)(len(requests)) as task:
        return ask_in_batches(
            engine,
            requests,
            settings,
            batch_size=benchmark.batch_size,
            task=task,
            about=f"benchmark {benchmark.name}",
        )


def ask_in_batches(
    engine: Engine,
    requests: Sequence[Request],
    settings: GenerationSettings,
    *,
    batch_size: int,
    task: Task,
    about: str,
) -> list[Answer]:
    """Asks an engine batch by batch, and returns its answers in the order of the requests.

    Prompts of one length go together, so that little is padded.

    Args:
        engine: engine to ask.
        requests: requests with different keys.
        settings: settings of generation.
        batch_size: number of requests that are asked together.
        task: task that advances by every batch.
        about: name of the work, for the log.
    """
    order = sorted(range(len(requests)), key=lambda n: (len(requests[n].prompt), requests[n].key))
    answers: dict[int, Answer] = {}
    chunks = (order[start : start + batch_size] for start in range(0, len(order), batch_size))

    def chosen(chunk: list[int]) -> list[Request]:
        return [requests[n] for n in chunk]

    for chunk, said in ask_batches(engine, chunks, chosen, settings):
        for number, answer in zip(chunk, said, strict=True):
            answers[number] = or_empty(answer, requests[number].key, about=about)
        task.advance(len(chunk))
    return [answers[n] for n in range(len(requests))]


def generation(benchmark: BenchmarkSpec, *, temperature: float = 0.0) -> GenerationSettings:
    """Makes the settings with which a benchmark generates."""
    return GenerationSettings(
        max_new_tokens=benchmark.max_new_tokens,
        repetition_penalty=benchmark.repetition_penalty,
        temperature=temperature,
        seed=benchmark.seed,
    )


def task_of(benchmark: BenchmarkSpec, progress: Progress) -> TaskOf:
    """Returns a function that starts the benchmark's task, given how much there is to do."""
    return lambda total: progress.task(f"benchmark {benchmark.name}", total)
