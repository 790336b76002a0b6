"""Batches asked in order, of engines that answer in any order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from vila2.engine.careful_asking import ask_each
from vila2.engine.protocol import (
    Answer,
    Engine,
    GenerationSettings,
    PreparingEngine,
    Request,
    StreamingEngine,
    Unanswered,
    preparing,
    streaming,
)
from vila2.engine.workers import Workers
from vila2.errors import DataError

B = TypeVar("B")

#: Number of batches that are prepared while another is answered, and of threads that do it.
_AHEAD = 2


@dataclass(slots=True)
class _Asked(Generic[B]):
    """A batch with the answers that there are so far."""

    batch: B
    count: int
    answers: dict[int, Answer | Unanswered] = field(default_factory=dict)


def ask_batches(
    engine: Engine,
    batches: Iterable[B],
    requests_of: Callable[[B], Sequence[Request]],
    settings: GenerationSettings,
) -> Iterator[tuple[B, list[Answer | Unanswered]]]:
    """Asks batch by batch; later batches are prepared, or asked by an engine that streams, meanwhile.

    Args:
        engine: engine to ask.
        batches: batches, made when they are due.
        requests_of: function that gives the requests of a batch.
        settings: settings of generation.

    Returns:
        The batches in their order, each with the answers to its requests in their order, or the reasons why
        there are none.

    Raises:
        EngineError: the engine cannot do what is asked, whatever the request.
    """
    if (streams := streaming(engine)) is not None:
        yield from _streamed(streams, batches, requests_of, settings)
        return
    if (prepares := preparing(engine)) is not None:
        yield from _prepared(prepares, batches, requests_of, settings)
        return
    for batch in batches:
        yield batch, ask_each(engine, requests_of(batch), settings)


def _streamed(
    engine: StreamingEngine,
    batches: Iterable[B],
    requests_of: Callable[[B], Sequence[Request]],
    settings: GenerationSettings,
) -> Iterator[tuple[B, list[Answer | Unanswered]]]:
    waiting: deque[_Asked[B]] = deque()
    places: dict[int, tuple[_Asked[B], int]] = {}

    def taken() -> Iterator[Request]:
        number = 0
        for batch in batches:
            requests = requests_of(batch)
            asked = _Asked(batch, len(requests))
            waiting.append(asked)
            for place, request in enumerate(requests):
                places[number] = asked, place
                number += 1
                yield request

    def complete() -> Iterator[tuple[B, list[Answer | Unanswered]]]:
        while waiting and len(waiting[0].answers) == waiting[0].count:
            asked = waiting.popleft()
            yield asked.batch, [asked.answers[place] for place in range(asked.count)]

    for number, answer in engine.stream(taken(), settings):
        asked, place = places.pop(number)
        asked.answers[place] = answer
        yield from complete()
    yield from complete()


def _prepared(
    engine: PreparingEngine,
    batches: Iterable[B],
    requests_of: Callable[[B], Sequence[Request]],
    settings: GenerationSettings,
) -> Iterator[tuple[B, list[Answer | Unanswered]]]:
    """Answers batches in their order, while threads prepare the next ones."""
    waiting: deque[tuple[B, Sequence[Request]]] = deque()
    ready: dict[int, Any] = {}

    def prepared(requests: Sequence[Request]) -> Any:
        try:
            return engine.prepare_batch(requests, settings)
        except Exception:  # of any kind, raised by processors; asked without preparation, it is raised again
            return None

    workers = Workers(prepared, _AHEAD)
    taken = 0

    def next_one() -> tuple[B, list[Answer | Unanswered]]:
        number = taken - len(waiting)
        while number not in ready:
            done, made = workers.next()
            ready[done] = made
        batch, requests = waiting.popleft()
        return batch, _answered(engine, requests, ready.pop(number), settings)

    try:
        for batch in batches:
            requests = requests_of(batch)
            waiting.append((batch, requests))
            workers.give(taken, requests)
            taken += 1
            if len(waiting) > _AHEAD:
                yield next_one()
        while waiting:
            yield next_one()
    finally:
        workers.stop(wait=True)


def _answered(
    engine: PreparingEngine, requests: Sequence[Request], prepared: Any, settings: GenerationSettings
) -> list[Answer | Unanswered]:
    if prepared is not None:
        try:
            return list(engine.answer_prepared(prepared, settings))
        except DataError:
            pass  # some requests have no answer: asked one by one where needed
    return ask_each(engine, requests, settings)
