"""Layers of a dataset are asked without a pause between batches, and end with the same bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.caption.scripted import Scripted
from tests.caption.tiny_llava import picture
from tests.engine.unruly_server import Reply, serving
from vila2.caption.layer_redo import redo_layer
from vila2.caption.recaption import recaption
from vila2.data.layers import Layer
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.engine.openai_engine import OpenAIEngine
from vila2.engine.openai_settings import OpenAISettings
from vila2.engine.protocol import Answer, Engine, GenerationSettings, Request

COUNT = 90
ASKED = {
    "prompts": ["simple", "long-v1"],
    "settings": GenerationSettings(max_new_tokens=16),
    "seed": 5,
    "batch_size": 4,
}


class Shuffling(Scripted):
    """Streams: answers eleven requests at a time in an order of its own, and stops after so many."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__(lambda key, settings: f"Seen: {key}", stop_after=stop_after)
        self.chance = random.Random(stop_after)

    def stream(
        self, requests: Iterator[Request], settings: GenerationSettings
    ) -> Iterator[tuple[int, Answer]]:
        waiting: list[tuple[int, Request]] = []
        for number, request in enumerate(requests):
            waiting.append((number, request))
            if len(waiting) == 11:
                yield from self._some(waiting, settings, leave=5)
        yield from self._some(waiting, settings, leave=0)

    def _some(
        self, waiting: list[tuple[int, Request]], settings: GenerationSettings, leave: int
    ) -> Iterator[tuple[int, Answer]]:
        while len(waiting) > leave:
            number, request = waiting.pop(self.chance.randrange(len(waiting)))
            yield number, self.generate([request], settings)[0]


@pytest.fixture
def dataset(tmp_path: Path) -> ShardDataset:
    samples = (
        Sample(f"{number:04d}", (picture(number),), (user(ImagePart(0)), assistant("original")))
        for number in range(COUNT)
    )
    write_dataset(tmp_path / "set", samples, name="set", shard_size=40)
    return ShardDataset.open(tmp_path / "set")


def written(dataset: ShardDataset, engine: Engine, name: str, also: Sequence[str] = ()) -> dict[str, bytes]:
    layer = recaption(dataset, engine, folder=dataset.folder / name, layer="self-1", also=also, **ASKED)
    return content(layer)


def content(layer: Layer) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in layer.folder.iterdir() if not path.name.startswith(".")}


@pytest.mark.parametrize("also", [(), ("What color is it?", "What is written there?")], ids=["one", "three"])
def test_a_job_that_is_stopped_again_and_again_writes_the_same_bytes(dataset, also) -> None:
    whole = written(dataset, Scripted(lambda key, settings: f"Seen: {key}"), "whole", also)
    runs = 0
    for stop_after in (3, 25, 70, 110, 31, 64, 97):
        runs += 1
        try:
            written(dataset, Shuffling(stop_after), "stopped", also)
            break
        except KeyboardInterrupt:
            continue
    assert runs > 3 and written(dataset, Shuffling(), "stopped", also) == whole
    assert written(dataset, Shuffling(), "undisturbed", also) == whole


def test_a_server_gets_requests_of_many_batches_and_shards_at_once(dataset) -> None:
    with serving(lambda prompt, before: Reply(delay=0.05)) as server:
        engine = OpenAIEngine("tiny", OpenAISettings(url=(server.url,), concurrency=24))
        first = written(dataset, engine, "first", ("What color is it?",))
        assert server.most_at_once >= 12  # a batch holds four images
        assert len(server.seen) == 2 * COUNT
    with serving() as quiet:
        engine = OpenAIEngine("tiny", OpenAISettings(url=(quiet.url,), concurrency=1))
        assert written(dataset, engine, "second", ("What color is it?",)) == first


def test_answers_that_are_asked_for_again_flow_too(dataset) -> None:
    def said(key: str, settings: GenerationSettings) -> str:
        return "" if int(key) % 2 else f"Seen: {key}"

    for name in ("first", "second"):
        written(dataset, Scripted(said), name)
    again = {"statuses": ["empty"], **ASKED}
    with serving(lambda prompt, before: Reply(delay=0.05)) as server:
        engine = OpenAIEngine("tiny", OpenAISettings(url=(server.url,), concurrency=24))
        engine.digest = Scripted.digest
        layer, count = redo_layer(dataset, engine, folder=dataset.folder / "first", **again)
        assert count == COUNT / 2 and server.most_at_once >= 8
    assert {row.status for rows in layer.shard(0).values() for row in rows} == {"ok"}
    stopped = 0
    for stop_after in range(20, 60, 5):
        try:
            redone, _ = redo_layer(dataset, Shuffling(stop_after), folder=dataset.folder / "second", **again)
            break
        except KeyboardInterrupt:
            stopped += 1
    assert stopped > 1 and redone.get("0001")[0].text == "Seen: 0001"
