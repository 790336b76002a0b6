"""Requests to annotations: asks the engine, marks its answers, and records failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from vila2.data.layers import Annotation
from vila2.engine.in_order import ask_batches
from vila2.engine.marks import mark
from vila2.engine.protocol import Answer, Engine, GenerationSettings, Request, Unanswered

B = TypeVar("B")


def annotate(engine: Engine, requests: Sequence[Request], settings: GenerationSettings) -> list[Annotation]:
    """One annotation for each request, in order.

    A request without an image, or with one that cannot be decoded or that the model refuses, gets status
    "error" and the reason. It does not stop the others.

    Raises:
        EngineError: the engine cannot do what is asked.
    """
    return next(rows for _, rows in annotate_batches(engine, [requests], lambda batch: batch, settings))


def annotate_batches(
    engine: Engine,
    batches: Iterable[B],
    requests_of: Callable[[B], Sequence[Request]],
    settings: GenerationSettings,
) -> Iterator[tuple[B, list[Annotation]]]:
    """Annotates batch by batch as :func:`annotate` does; see :func:`vila2.engine.in_order.ask_batches`.

    Args:
        engine: engine to ask.
        batches: batches, made when they are due.
        requests_of: function that gives the requests of a batch; it is called once for each.
        settings: settings of generation.
    """

    def with_requests() -> Iterator[tuple[B, Sequence[Request]]]:
        for batch in batches:
            yield batch, requests_of(batch)

    asked = ask_batches(
        engine, with_requests(), lambda made: [one for one in made[1] if one.images], settings
    )
    for (batch, requests), answers in asked:
        answered = iter(answers)
        yield (
            batch,
            [
                _annotation(request, next(answered) if request.images else Unanswered("no image"))
                for request in requests
            ],
        )


def _annotation(request: Request, answer: Answer | Unanswered) -> Annotation:
    if isinstance(answer, Unanswered):
        return Annotation(request.key, request.prompt, "", "error", answer.reason)
    status, detail = mark(answer)
    return Annotation(request.key, request.prompt, answer.text, status, detail, answer.tokens)
