"""Samples through a mixture, in order and shuffled, against webdataset and against reading and parsing alone.

Both sides give the bytes of the image and the parsed JSON of the text; no image is decoded.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import webdataset

from tests.benchmarks.harness import Comparison, rates
from vila2.data.importing import finish_dataset
from vila2.data.mixtures import Mixture, ViewedDataset
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shard_writer import ShardWriter
from vila2.data.shards import ShardDataset
from vila2.data.tar_sample import pack_sample
from vila2.data.views import View

_COUNT, _SHARD, _BYTES = 10_000, 1000, 2000
_CAUSE = "a sample is 8 Python objects, which are checked when they are read"


def in_order() -> Iterator[Comparison]:
    """Measures reading from first to last."""
    yield from _compare("shards", lambda count: list(range(count)), shuffle=0)


def shuffled() -> Iterator[Comparison]:
    """Measures reading in an order that the peer can only come near to, with its buffer of 1000."""

    def order(count: int) -> list[int]:
        return random.Random(0).sample(range(count), count)

    yield from _compare("shuffle", order, shuffle=1000)


def _compare(name: str, order_of: object, *, shuffle: int) -> Iterator[Comparison]:
    assert callable(order_of)
    with tempfile.TemporaryDirectory() as folder:
        dataset = made_pairs(Path(folder, "data"), _COUNT)
        mixture = Mixture([(ViewedDataset(dataset, View.parse("only(original)")), 1.0)], seed=0)
        order = order_of(len(mixture))
        tars = [str(path) for path in sorted(Path(folder, "data/shards").glob("*.tar"))]
        members = [_members(dataset, number) for number in order]
        files = {number: os.open(path, os.O_RDONLY) for number, path in enumerate(tars)}

        def ours() -> Iterator[tuple[str, bytes, str]]:
            for number in order:
                sample = mixture[number]
                yield sample.key, sample.images[0], sample.turns[1].text

        def theirs() -> Iterator[tuple[str, bytes, str]]:
            pipeline = webdataset.WebDataset(tars, shardshuffle=len(tars) if shuffle else False, seed=0)
            for sample in pipeline.shuffle(shuffle) if shuffle else pipeline:
                text = json.loads(sample["json"])["turns"][1]["parts"][0]["text"]
                yield sample["__key__"], sample["jpg"], text

        def bare() -> Iterator[tuple[str, bytes, str]]:
            for key, shard_no, (start, image_end, text_start, end) in members:
                span = os.pread(files[shard_no], end - start, start)
                read = json.loads(span[text_start - start :])
                yield key, span[: image_end - start], read["turns"][1]["parts"][0]["text"]

        assert list(ours()) == list(bare())
        assert sorted(theirs()) == sorted(ours())
        for peer, beside, limit in (
            (theirs, "webdataset", 6.0),
            (bare, "one pread and json.loads a sample", 0.6),
        ):
            mine, other = rates(lambda: _counted(ours()), lambda peer=peer: _counted(peer()))
            yield Comparison(f"{name}: samples", mine, other, "samples/s", limit, beside, _CAUSE)
        for file in files.values():
            os.close(file)


def made_pairs(folder: Path, count: int) -> ShardDataset:
    """A dataset of image-text pairs, each with an image of 2 kB."""
    (folder / "shards").mkdir(parents=True)
    shards = []
    for first in range(0, count, _SHARD):
        writer = ShardWriter(folder / "shards", first // _SHARD)
        for number in range(first, first + _SHARD):
            image = b"\xff\xd8\xff" + random.Random(number).randbytes(_BYTES)
            text = f"photo {number} of a brown dog that runs over the wet sand of a beach"
            sample = Sample(f"{number:09d}", (image,), (user(ImagePart()), assistant(text)))
            writer.add(sample, pack_sample(sample))
        shards.append(writer.close())
    finish_dataset(folder, "data", shards, {})
    return ShardDataset.open(folder)


def _members(dataset: ShardDataset, number: int) -> tuple[str, int, tuple[int, int, int, int]]:
    """Key, shard, and where the image and the JSON of a sample begin and end."""
    shard_no, place = dataset.locate(number)
    index = dataset.index(shard_no)
    (_, image, size), (_, text, length) = index.members(place)
    return index.key(place), shard_no, (image, image + size, text, text + length)


def _counted(samples: Iterable[object]) -> int:
    return sum(1 for _ in samples)
