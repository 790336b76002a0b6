"""An engine that streams and whose answers are kept: what was answered before is not asked again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from vila2.data.journal import Journal
from vila2.engine.journalled import JournalledEngine
from vila2.engine.protocol import Answer, GenerationSettings, Request

SETTINGS = GenerationSettings(max_new_tokens=8)


class Streaming:
    """Repeats the key of a request as soon as it has it; notes down what it was asked."""

    name = digest = "streaming"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def generate(self, requests: Sequence[Request], settings: GenerationSettings) -> list[Answer]:
        self.asked += [request.key for request in requests]
        return [Answer(request.key, "stop", 1) for request in requests]

    def stream(
        self, requests: Iterator[Request], settings: GenerationSettings
    ) -> Iterator[tuple[int, Answer]]:
        for number, request in enumerate(requests):
            yield number, self.generate([request], settings)[0]


def numbered(keys: str, taken: list[str]) -> Iterator[Request]:
    for key in keys:
        taken.append(key)
        yield Request(key, (), "What?")


def answered(path, keys: str) -> tuple[list[tuple[int, str]], Streaming]:
    engine = Streaming()
    found = JournalledEngine(engine, Journal(path)).stream(numbered(keys, []), SETTINGS)
    return [(number, answer.text) for number, answer in found], engine


@pytest.mark.parametrize("kept", ["", "abc", "bd", "abcdef"])
def test_what_was_answered_before_is_not_asked_again(tmp_path, kept):
    answered(tmp_path / "journal", kept)
    found, engine = answered(tmp_path / "journal", "abcdef")
    assert dict(found) == dict(enumerate("abcdef"))
    assert engine.asked == [key for key in "abcdef" if key not in kept]


def test_answers_of_an_earlier_process_do_not_wait_for_a_new_one(tmp_path):
    """Else all their requests, with their images, would be made before the first is done with."""
    answered(tmp_path / "journal", "abc")
    taken: list[str] = []
    stream = JournalledEngine(Streaming(), Journal(tmp_path / "journal")).stream(
        numbered("abcdef", taken), SETTINGS
    )
    for count, key in enumerate("abc", start=1):
        assert next(stream)[1].text == key and len(taken) == count
    assert [answer.text for _, answer in stream] == list("def")
