"""An engine that counts what it is asked, and a command line to try it from."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from vila2.engine.protocol import Answer, GenerationSettings, Request


class Scripted:
    """Says what a function makes of a key and the settings; stops after so many batches."""

    name, digest = "scripted", "0" * 64

    def __init__(
        self,
        say: Callable[[str, GenerationSettings], str] = lambda key, settings: f"Seen: {key} ✓",
        *,
        stop_after: int | None = None,
    ) -> None:
        self.say, self.stop_after = say, stop_after
        self.asked: list[str] = []
        self.batches = 0

    def generate(self, requests: Sequence[Request], settings: GenerationSettings) -> list[Answer]:
        from vila2.data.images import decode_image

        if self.batches == self.stop_after:
            raise KeyboardInterrupt
        for request in requests:
            decode_image(request.images[0], where=request.key)
        self.batches += 1
        self.asked += [request.key for request in requests]
        return [self._answer(self.say(request.key, settings), settings) for request in requests]

    def _answer(self, text: str, settings: GenerationSettings) -> Answer:
        words = text.split()
        cut = words[: settings.max_new_tokens]
        return Answer(" ".join(cut), "stop" if len(cut) == len(words) else "length", len(cut))


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]
