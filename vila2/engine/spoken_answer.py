"""An answer that a server tells piece by piece, as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx2

from vila2.data.parsing import MISSHAPEN
from vila2.engine.protocol import Answer
from vila2.engine.told_text import ToldText
from vila2.errors import EngineError, one_line

_LARGEST = 2**22  # characters
_FAILURES: tuple[type[Exception], ...] = (httpx2.HTTPError, *MISSHAPEN)


def spoken_answer(
    client: httpx2.Client, url: str, body: Mapping[str, Any], heard: Callable[[str], None]
) -> Answer | None:
    """Asks a server once, and tells the pieces of its answer as they come.

    Args:
        client: client with the key.
        url: base URL of the server.
        body: body of the request, as :func:`vila2.engine.chat_messages.chat_body` makes it.
        heard: function that is given the pieces; joined they are the answer's text.

    Returns:
        The answer; None if the server said nothing, or does not stream.

    Raises:
        EngineError: the server stopped in the middle of its answer.
    """
    told = _ToldAnswer(heard)
    asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
    try:
        with client.stream("POST", f"{url}/chat/completions", json=asked) as reply:
            if reply.status_code != 200 or "event-stream" not in reply.headers.get("content-type", ""):
                return None
            for event in _events(reply.iter_lines()):
                told.take(event)
    except _FAILURES as error:
        if not told.text:
            return None
        raise EngineError(
            f"{url} stopped in the middle of its answer: {one_line(error) or type(error).__name__}",
            hint="ask again; the server's log says more",
        ) from error
    if told.text and not told.finish:
        raise EngineError(f"{url} stopped in the middle of its answer", hint="ask again")
    return told.answer() if told.finish else None


def _events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        name, _, data = line.partition(":")
        if name == "data" and data.strip() != "[DONE]":
            yield json.loads(data)


class _ToldAnswer(ToldText):
    """The answer so far."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        super().__init__(heard)
        self.finish, self.tokens = "", 0

    def take(self, event: dict[str, Any]) -> None:
        usage = event.get("usage") or {}
        self.tokens = int(usage.get("completion_tokens", self.tokens))
        for choice in event["choices"][:1]:
            self.finish = choice.get("finish_reason") or self.finish
            if len(self.text) < _LARGEST:
                self.add((choice.get("delta") or {}).get("content") or "")

    def answer(self) -> Answer:
        return Answer(self.text, "length" if self.finish == "length" else "stop", self.tokens)
