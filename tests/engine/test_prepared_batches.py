"""The engine `transformers` is asked about alike images together, and the next batch is ready in time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.caption.tiny_llava import picture
from vila2.caption.recaption import recaption
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.engine.protocol import GenerationSettings
from vila2.engine.transformers_engine import TransformersEngine
from vila2.model.assemble import assemble
from vila2.model.generalist import Generalist

SIZES = [(28, 28), (250, 60), (60, 250), (140, 140)]
COUNT, SHARD = 60, 40


@pytest.fixture(scope="module")
def generalist() -> Generalist:
    model, processor = assemble(
        "builtin:world/vision", "builtin:world/language", vision_feature_layer=-1, max_tiles=6
    )
    return Generalist(model.eval(), processor, "world", "0")


@pytest.fixture
def dataset(tmp_path: Path) -> ShardDataset:
    samples = (
        Sample(f"{n:04d}", (picture(n, SIZES[n % 4]),), (user(ImagePart(0)), assistant("original")))
        for n in range(COUNT)
    )
    write_dataset(tmp_path / "set", samples, name="set", shard_size=SHARD)
    return ShardDataset.open(tmp_path / "set")


class Counting(TransformersEngine):
    """Counts tokens and slots of the prompts, and stops after so many batches."""

    def __init__(self, generalist: Generalist, stop_after: int = -1) -> None:
        super().__init__(generalist)
        self.stop_after, self.tokens, self.slots = stop_after, 0, 0

    def answer_prepared(self, prepared, settings):
        if not self.stop_after:
            raise KeyboardInterrupt
        self.stop_after -= 1
        mask = prepared.inputs["attention_mask"]
        self.tokens, self.slots = self.tokens + int(mask.sum()), self.slots + mask.numel()
        return super().answer_prepared(prepared, settings)


def written(dataset: ShardDataset, engine: TransformersEngine, name: str, size: int) -> dict[str, bytes]:
    layer = recaption(
        dataset,
        engine,
        folder=dataset.folder / name,
        layer="self-1",
        prompts=["Describe the image.", "What is there, and where?"],
        settings=GenerationSettings(max_new_tokens=8),
        seed=5,
        batch_size=size,
    )
    return {file.name: file.read_bytes() for file in layer.folder.glob("[!.]*")}


def test_alike_images_share_a_batch_and_the_layer_is_that_of_images_asked_alone(dataset, generalist) -> None:
    alone, together = Counting(generalist), Counting(generalist)
    expected = written(dataset, alone, "alone", 1)
    assert written(dataset, together, "together", 4) == expected
    assert alone.slots == alone.tokens == together.tokens
    assert together.tokens / together.slots > 0.88  # .80 in the dataset's order


def test_a_layer_that_is_stopped_again_and_again_has_the_same_batches_and_bytes(dataset, generalist) -> None:
    whole = Counting(generalist)
    expected = written(dataset, whole, "whole", 4)
    slots = 0
    for stop_after in (4, 2, 0, 5, -1):
        engine = Counting(generalist, stop_after)
        try:
            found = written(dataset, engine, "stopped", 4)
        except KeyboardInterrupt:
            slots += engine.slots
            continue
        assert found == expected and slots + engine.slots == whole.slots


def test_the_next_batch_is_prepared_while_one_is_answered(dataset, generalist) -> None:
    class Watching(TransformersEngine):
        prepared_by: set[int]

        def __init__(self) -> None:
            super().__init__(generalist)
            self.prepared, self.asked = threading.Semaphore(0), 0
            self.prepared_by = set()

        def prepare_batch(self, requests, settings):
            found = super().prepare_batch(requests, settings)
            self.prepared_by.add(threading.get_ident())
            self.prepared.release()
            return found

        def answer_prepared(self, prepared, settings):
            self.asked += 1
            ahead = 1 if self.asked == 15 else 2  # its own, and one more where there is one
            for _ in range(ahead if self.asked == 1 else ahead - 1):
                assert self.prepared.acquire(timeout=60), "nothing is prepared meanwhile"
            return super().answer_prepared(prepared, settings)

    engine = Watching()
    written(dataset, engine, "watched", 4)
    assert engine.asked == 15
    assert threading.get_ident() not in engine.prepared_by
