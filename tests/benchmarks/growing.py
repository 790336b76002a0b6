"""How builders of specialists' data, evidence and merges grow: rates on many images beside rates on few.

The images are scenes of the miniature world, which come again under other keys. Each sample must be built as
often as its scene comes, but for what chance leaves out.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from vila2_grounding.builder import GroundingBuilder, GroundingConfig
from vila2_ocr.builder import OcrBuilder, OcrConfig
from vila2_spatial.builder import SpatialBuilder, SpatialConfig

from tests.benchmarks.harness import Comparison, rates
from tests.merge.merge_jobs import merged
from tests.merge.merge_layers import world_layers
from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset, write_dataset
from vila2.plugin.contract import Builder
from vila2.sources import open_source
from vila2.sources.evidence import open_evidence

_SCENES = 60
_LINEAR = 0.8  # of the rate on few images, at least
_CAUSE = "time grows faster than the number of images"


def spatial() -> Iterator[Comparison]:
    """Questions about relations."""
    build = partial(_built, lambda data: SpatialBuilder(SpatialConfig(data=data)))
    yield _compared("spatial", build, 60, 480)


def grit() -> Iterator[Comparison]:
    """Grounded captions."""
    build = partial(_built, lambda data: GroundingBuilder(GroundingConfig(data=data)))
    yield _compared("grit", build, 300, 2400)


def ocr() -> Iterator[Comparison]:
    """Questions about written text."""
    yield _compared("ocr", partial(_built, lambda data: OcrBuilder(OcrConfig(data=data))), 300, 2400)


def evidence() -> Iterator[Comparison]:
    """Reading samples with what is true of them."""
    yield _compared("evidence", lambda data: sum(1 for _ in open_evidence(data)), 1000, 8000)


def merge() -> Iterator[Comparison]:
    """Verifying and merging three layers."""
    numbers = itertools.count()
    layers = {}

    def work(data: Path) -> int:
        dataset = ShardDataset.open(data)
        if data not in layers:
            layers[data] = world_layers(dataset)
        return merged(dataset, layers[data], data / f"merged{next(numbers)}").count

    yield _compared("merge", work, 60, 480)


def _compared(name: str, work: Callable[[Path], int], few: int, many: int) -> Comparison:
    scenes = list(open_source("world", split="specialist", count=_SCENES))
    with tempfile.TemporaryDirectory() as folder:
        data = {count: Path(folder, str(count)) for count in (few, many)}
        for count, place in data.items():
            write_dataset(place, _repeated(scenes, count), name="world")
        found = {count: work(place) for count, place in data.items()}
        assert 0.8 < found[few] * many / (found[many] * few) < 1.25, found  # some chance is by key

        def measured(count: int) -> int:
            work(data[count])
            return count

        large, small = rates(lambda: measured(many), lambda: measured(few), repeats=1)
    beside = f"{few:,} images"
    return Comparison(f"{name}: {many:,} images", large, small, "images/s", _LINEAR, beside, _CAUSE)


def _repeated(scenes: Iterable[object], count: int) -> Iterator[Sample]:
    again = itertools.islice(itertools.cycle(scenes), count)
    for number, scene in enumerate(again):
        assert isinstance(scene, Sample)
        yield replace(scene, key=f"{number:06d}-{scene.key}")


def _built(opened: Callable[[Path], Builder], data: Path) -> int:
    """Number of samples and rejects that a builder makes."""
    builder = opened(data)
    return sum(1 for shard in builder.shards() for _ in builder.build(shard))
