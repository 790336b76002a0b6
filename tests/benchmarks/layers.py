"""Random samples through a view with layers, against the same samples without a layer, as the rows grow.

Also: how long opening such a view takes, once its layer was aligned.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import Comparison, rates
from vila2.data.annotations import Annotation
from vila2.data.importing import finish_dataset
from vila2.data.layers import Layer, LayerWriter
from vila2.data.mixtures import ViewedDataset
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shard_writer import ShardWriter
from vila2.data.shards import ShardDataset
from vila2.data.tar_sample import pack_sample
from vila2.data.views import View

_SHARD = 1000
_PICKS = 5000
_CAUSE = "each layer adds two turns to a sample, which are Python objects"
_CAPTION = "a brown dog runs over the wet sand of a beach, and a child follows it with a red ball " * 6


def compare(sizes: tuple[int, ...] = (10_000, 100_000)) -> Iterator[Comparison]:
    """Measures each number of rows."""
    for count in sizes:
        with tempfile.TemporaryDirectory() as folder:
            yield from _compare(Path(folder), count)


def _compare(folder: Path, count: int) -> Iterator[Comparison]:
    dataset = made_dataset(folder / "data", count)
    layers = {name: made_layer(dataset, name) for name in ("one", "two", "three")}
    plain = ViewedDataset(dataset, View.parse("only(original)"))
    chosen = random.Random(0).sample(range(count), _PICKS)

    def read(viewed: ViewedDataset) -> int:
        turns = {len(viewed[number].turns) for number in chosen}
        assert turns == {2 + 2 * len(viewed.layers)} or viewed is plain
        return len(chosen)

    for names in (["one"], list(layers)):
        view = f"dialogue(original,{','.join(names)})"
        viewed = ViewedDataset(dataset, View.parse(view), {name: layers[name] for name in names})
        ours, peer = rates(lambda viewed=viewed: read(viewed), lambda: read(plain))
        yield Comparison(
            f"layers: {count:,} rows, {len(names)} layers",
            ours,
            peer,
            "samples/s",
            1 / 1.3,
            "no layer",
            _CAUSE,
        )
    opened = time.perf_counter()  # the clock of CPU time may tick too seldom for it
    ViewedDataset(dataset, View.parse("only(one)"), layers)
    took = time.perf_counter() - opened
    yield Comparison(
        f"layers: opening a view of {count:,} rows",
        1 / took,
        1.0,
        "openings/s",
        2.0,
        "one",
        "numbers of all rows are read",
    )


def made_dataset(folder: Path, count: int, shard_size: int = _SHARD) -> ShardDataset:
    """Writes a dataset of tiny samples; their images are a few bytes, since none is decoded."""
    (folder / "shards").mkdir(parents=True)
    shards = []
    for number in range(0, count, shard_size):
        writer = ShardWriter(folder / "shards", number // shard_size)
        for place in range(number, min(number + shard_size, count)):
            image = b"\xff\xd8\xff" + place.to_bytes(8, "big")
            sample = Sample(f"{place:09d}", (image,), (user(ImagePart()), assistant("a dog")))
            writer.add(sample, pack_sample(sample))
        shards.append(writer.close())
    finish_dataset(folder, "data", shards, {})
    return ShardDataset.open(folder)


def made_layer(dataset: ShardDataset, name: str) -> Layer:
    """Writes a layer with one caption a sample."""
    writer = LayerWriter(dataset.folder / "layers" / name, name)
    for shard_no in range(len(dataset.shards)):
        keys = dataset.shard_keys(shard_no)
        writer.write_shard(
            shard_no, [Annotation(key, "Describe the image.", f"{key} {_CAPTION}", "ok") for key in keys]
        )
    return writer.finish({"layer": name, "dataset": dataset.digest})
