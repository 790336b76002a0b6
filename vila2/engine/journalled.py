"""An engine whose answers survive a kill: answers of an earlier process are read from a journal."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from typing import Any

from vila2.data.journal import Journal
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
from vila2.run.digests import digest_value


class JournalledEngine:
    """Answers with the engine that it wraps, and keeps every batch; other attributes are those of the engine.

    A batch is kept whole, for exactly these requests and settings. So where the batches are the same, the
    answers do not depend on where a process was killed. Of an engine that streams, each answer is kept.

    Args:
        engine: engine that answers.
        journal: journal that holds answers and nothing else.
    """

    name: str
    digest: str

    def __init__(self, engine: Engine, journal: Journal) -> None:
        self._engine, self._journal = engine, journal
        self._kept = {
            entry["asked"]: [Answer(**answer) for answer in entry["answers"]] for entry in journal.entries
        }

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def generate(self, requests: Sequence[Request], settings: GenerationSettings) -> list[Answer]:
        """Answers a batch, or reads its answers; see :class:`vila2.engine.protocol.Engine`."""
        asked = _digest(requests, settings)
        if asked not in self._kept:
            self._keep(asked, self._engine.generate(requests, settings))
        return list(self._kept[asked])

    @property
    def prepare_batch(self) -> Any:
        """The method of :class:`vila2.engine.protocol.PreparingEngine`, where the engine has it."""
        inner = preparing(self._engine)
        if inner is None:
            raise AttributeError("prepare_batch")
        return partial(self._prepare, inner)

    def _prepare(
        self, inner: PreparingEngine, requests: Sequence[Request], settings: GenerationSettings
    ) -> tuple[str, Any]:
        asked = _digest(requests, settings)
        return asked, None if asked in self._kept else inner.prepare_batch(requests, settings)

    def answer_prepared(self, prepared: tuple[str, Any], settings: GenerationSettings) -> list[Answer]:
        """Answers a prepared batch, or reads its answers."""
        asked, inputs = prepared
        if asked not in self._kept:
            self._keep(asked, self._engine.answer_prepared(inputs, settings))  # type: ignore[attr-defined]
        return list(self._kept[asked])

    @property
    def stream(self) -> Any:
        """The method of :class:`vila2.engine.protocol.StreamingEngine`, where the engine has it."""
        inner = streaming(self._engine)
        if inner is None:
            raise AttributeError("stream")
        return partial(self._stream, inner)

    def _stream(
        self, inner: StreamingEngine, requests: Iterator[Request], settings: GenerationSettings
    ) -> Iterator[tuple[int, Answer | Unanswered]]:
        numbered = ((number, _digest([one], settings), one) for number, one in enumerate(requests))
        for first in numbered:
            number, digest, _ = first
            if digest not in self._kept:
                break
            # At once: the engine would take as many as there are before it answers the first that is new.
            yield number, self._kept[digest][0]
        else:
            return
        ready: deque[tuple[int, Answer]] = deque()
        asked: list[tuple[int, str]] = []

        def new() -> Iterator[Request]:
            for number, digest, request in chain([first], numbered):
                if digest in self._kept:
                    ready.append((number, self._kept[digest][0]))
                else:
                    asked.append((number, digest))
                    yield request

        for place, answer in inner.stream(new(), settings):
            number, digest = asked[place]
            if isinstance(answer, Answer):
                self._keep(digest, [answer])
            yield number, answer
            while ready:
                yield ready.popleft()
        yield from ready

    def _keep(self, asked: str, answers: list[Answer]) -> None:
        self._journal.append({"asked": asked, "answers": [asdict(answer) for answer in answers]})
        self._kept[asked] = answers


def _digest(requests: Sequence[Request], settings: GenerationSettings) -> str:
    rows = [
        [
            *(one.key, one.prompt, *(hashlib.sha256(image).hexdigest() for image in one.shown_images)),
            *(example.text for example in one.examples),
        ]
        for one in requests
    ]
    return digest_value({"requests": rows, "settings": asdict(settings)})
