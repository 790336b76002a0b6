"""Requests to annotations: asks the engine, marks what it says, and keeps failures in sight."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vila2.caption.engine import Answer, Engine, GenerationSettings, Request
from vila2.caption.marks import mark
from vila2.data.images import decode_image
from vila2.data.layers import Annotation
from vila2.errors import DataError

# A decoder's message may name an object in memory, which would make two equal jobs differ.
_ADDRESS = re.compile(r"\s*<[\w.]+ object at 0x[0-9a-f]+>")


def annotate(engine: Engine, requests: Sequence[Request], settings: GenerationSettings) -> list[Annotation]:
    """One annotation for each request, in order.

    A request without an image, or with one that cannot be decoded, gets status "error" and the reason;
    it does not stop the others.

    Raises:
        EngineError: the engine cannot do what is asked.
    """
    errors = {number: "no image" for number, request in enumerate(requests) if not request.images}
    try:
        answers = _generate(engine, requests, errors, settings)
    except DataError:
        errors |= _undecodable(requests)
        answers = _generate(engine, requests, errors, settings)
    rows = []
    for number, request in enumerate(requests):
        if number in errors:
            rows.append(Annotation(request.key, request.prompt, "", "error", errors[number]))
            continue
        answer = answers[number]
        status, detail = mark(answer)
        rows.append(Annotation(request.key, request.prompt, answer.text, status, detail, answer.tokens))
    return rows


def _generate(
    engine: Engine, requests: Sequence[Request], errors: dict[int, str], settings: GenerationSettings
) -> dict[int, Answer]:
    numbers = [number for number in range(len(requests)) if number not in errors]
    if not numbers:
        return {}
    answers = engine.generate([requests[number] for number in numbers], settings)
    return dict(zip(numbers, answers, strict=True))


def _undecodable(requests: Sequence[Request]) -> dict[int, str]:
    """The requests whose images fail, found by decoding them once more; needed only when one does."""
    errors = {}
    for number, request in enumerate(requests):
        for image in request.images:
            try:
                decode_image(image, where=request.key)
            except DataError as error:
                errors[number] = _ADDRESS.sub("", error.what)
                break
    return errors
