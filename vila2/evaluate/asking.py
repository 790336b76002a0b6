"""What all kinds of benchmarks that ask share: requests in, answers out, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from vila2.caption.careful_asking import ask_or_empty
from vila2.engine.protocol import Answer, Engine, GenerationSettings, Request
from vila2.evaluate.measures.items import Items
from vila2.progress import Progress, Task
from vila2.recipe.parts.evaluate import BenchmarkSpec

#: Gives the progress's context manager for a total.
TaskOf = Callable[[int], AbstractContextManager[Task]]


@dataclass(slots=True)
class BenchmarkOutcome:
    """What a benchmark found: items by measure, and what the model said."""

    items: dict[str, Items] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)


def ask_all(
    engine: Engine,
    requests: Sequence[Request],
    benchmark: BenchmarkSpec,
    progress: Progress,
    *,
    temperature: float = 0.0,
) -> list[Answer]:
    """Answers to all requests, in their order; ``benchmark`` says how they are generated."""
    settings = generation(benchmark, temperature=temperature)
    size = benchmark.batch_size
    # Prompts of one length together: nothing is padded, and the answer does not depend on its neighbours.
    order = sorted(range(len(requests)), key=lambda n: (len(requests[n].prompt), requests[n].key))
    answers: dict[int, Answer] = {}
    with task_of(benchmark, progress)(len(requests)) as task:
        for start in range(0, len(order), size):
            chunk = order[start : start + size]
            asked, about = [requests[n] for n in chunk], f"benchmark {benchmark.name}"
            answers |= dict(zip(chunk, ask_or_empty(engine, asked, settings, about=about), strict=True))
            task.advance(len(chunk))
    return [answers[n] for n in range(len(requests))]


def generation(benchmark: BenchmarkSpec, *, temperature: float = 0.0) -> GenerationSettings:
    """How a benchmark generates."""
    return GenerationSettings(
        max_new_tokens=benchmark.max_new_tokens,
        repetition_penalty=benchmark.repetition_penalty,
        temperature=temperature,
        seed=benchmark.seed,
    )


def task_of(benchmark: BenchmarkSpec, progress: Progress) -> TaskOf:
    """Gives the progress's context manager for a total."""
    return lambda total: progress.task(f"benchmark {benchmark.name}", total)
