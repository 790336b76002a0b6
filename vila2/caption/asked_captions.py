"""Requests to annotations: asks the engine, marks its answers, and records failures."""

from __future__ import annotations

from collections.abc import Sequence

from vila2.caption.careful_asking import Unanswered, ask_each
from vila2.data.layers import Annotation
from vila2.engine.marks import mark
from vila2.engine.protocol import Engine, GenerationSettings, Request


def annotate(engine: Engine, requests: Sequence[Request], settings: GenerationSettings) -> list[Annotation]:
    """One annotation for each request, in order.

    A request without an image, or with one that cannot be decoded or that the model refuses, gets status
    "error" and the reason. It does not stop the others.

    Raises:
        EngineError: the engine cannot do what is asked.
    """
    numbers = [number for number, request in enumerate(requests) if request.images]
    answers = ask_each(engine, [requests[number] for number in numbers], settings)
    found = dict(zip(numbers, answers, strict=True))
    rows = []
    for number, request in enumerate(requests):
        answer = found.get(number, Unanswered("no image"))
        if isinstance(answer, Unanswered):
            rows.append(Annotation(request.key, request.prompt, "", "error", answer.reason))
            continue
        status, detail = mark(answer)
        rows.append(Annotation(request.key, request.prompt, answer.text, status, detail, answer.tokens))
    return rows
