"""Asking an engine so that one bad request does not stop the others: it gets a reason, no answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from vila2.data.images import decode_image
from vila2.engine.protocol import (
    Answer,
    Engine,
    GenerationSettings,
    Request,
    RequestsRefused,
    Unanswered,
    streaming,
)
from vila2.errors import DataError, one_line

log = logging.getLogger("vila2.engine")


def ask_each(
    engine: Engine, requests: Sequence[Request], settings: GenerationSettings
) -> list[Answer | Unanswered]:
    """The answer to every request of a batch, in order, or the reason why there is none.

    Raises:
        EngineError: the engine cannot do what is asked, whatever the request.
    """
    if (streams := streaming(engine)) is not None:
        found = dict(streams.stream(iter(requests), settings))
        return [found[number] for number in range(len(requests))]
    found = {}
    while left := [number for number in range(len(requests)) if number not in found]:
        asked = [requests[number] for number in left]
        try:
            found |= dict(zip(left, engine.generate(asked, settings), strict=True))
        except DataError as error:
            refused = error.reasons if isinstance(error, RequestsRefused) else _undecodable(asked)
            if not refused:
                raise
            found |= {left[place]: Unanswered(reason) for place, reason in refused.items()}
    return [found[number] for number in range(len(requests))]


def or_empty(answer: Answer | Unanswered, key: str, *, about: str) -> Answer:
    """An answer for scoring: a missing one counts as an empty one and is logged.

    Args:
        answer: answer, or the reason why there is none.
        key: key of its request, for the log.
        about: name of what asks, for the log.
    """
    if isinstance(answer, Unanswered):
        log.warning("%s: no answer about %s, counted as empty: %s", about, key, answer.reason)
        return Answer("", "stop", 0)
    return answer


def _undecodable(requests: Sequence[Request]) -> dict[int, str]:
    """The requests whose images fail, found by decoding, with reasons; for engines that do not say which."""
    reasons = {}
    for number, request in enumerate(requests):
        for image in request.shown_images:
            try:
                decode_image(image, where=request.key)
            except DataError as error:
                reasons[number] = one_line(error)
                break
    return reasons
