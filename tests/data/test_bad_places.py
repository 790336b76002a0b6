"""Places that no image holds never reach a shard, whether a source or a builder gives them."""

from __future__ import annotations

import math

import pytest

from vila2.data.importing import write_dataset
from vila2.data.rejects import read_rejects
from vila2.data.resumable import Pieces
from vila2.data.sample import BoxPart, ImagePart, PointPart, PolygonPart, Sample, TextPart, assistant, user
from vila2.data.shards import ShardDataset
from vila2.specialist.build_tally import BuildTally

PLACES = [
    (BoxPart((0.1, 0.1, 1.2, 0.9)), "is not within the image"),
    (BoxPart((-0.1, 0.1, 0.5, 0.9)), "is not within the image"),
    (BoxPart((10, 20, 300, 200)), "is not within the image"),
    (BoxPart((0.5, 0.1, 0.2, 0.9)), "swapped corners"),
    (BoxPart((0.1, 0.9, 0.2, 0.1)), "swapped corners"),
    (BoxPart((0.1, 0.1, 0.5)), "instead of 4 numbers"),
    (BoxPart(("0", "0", "1", "1")), "instead of 4 numbers"),
    (BoxPart((0.0, math.nan, 0.5, 0.5)), "is not within the image"),
    (BoxPart((0.0, 0.0, math.inf, 0.5)), "is not within the image"),
    (BoxPart(None), "instead of 4 numbers"),
    (PointPart((0.5, 1.5)), "is not within the image"),
    (PointPart((0.5, 0.5, 0.5)), "instead of 2 numbers"),
    (PolygonPart(((0.1, 0.1), (0.2, 0.2))), "a polygon of 2 points instead of 3 or more"),
    (PolygonPart(((0.1, 0.1), (0.2, 0.2), (0.3, 1.3))), "a polygon with point (0.3, 1.3) is not within"),
    (PolygonPart(((0.1, 0.1), (0.2, 0.2), (0.3,))), "instead of 2 numbers"),
    (PolygonPart((0.1, 0.1, 0.2, 0.2)), "instead of 2 numbers"),
    (PolygonPart(None), "instead of points"),
]
MASK = ((0.0, 0.5), (0.25, 0.125), (1.0, 1.0))


@pytest.fixture
def samples(picture):
    def sample(key, *parts):
        return Sample(key, (picture(),), (user(ImagePart(), "Where?"), assistant(*parts)))

    good = sample("good", "At ", BoxPart((0, 0.2, 1.0000001, 0.9)), PointPart((0.0, 1.0)), PolygonPart(MASK))
    odd = sample("odd", TextPart(5))
    return [good, odd, *(sample(f"bad-{n}", "At ", part) for n, (part, _) in enumerate(PLACES))]


def test_a_sources_bad_places_are_rejected_each_with_its_fault(tmp_path, samples):
    info = write_dataset(tmp_path / "data", samples, name="d")
    assert info.count == 1 and info.rejected == {"bad-place": len(PLACES), "bad-part": 1}
    (read,) = ShardDataset.open(tmp_path / "data")
    assert read.turns[1].parts[-1] == PolygonPart(MASK)
    found = {one.key: one.detail for one in read_rejects(tmp_path / "data" / "rejected.jsonl")}
    for number, (_, fault) in enumerate(PLACES):
        assert fault in found[f"bad-{number}"]


def test_a_builders_bad_places_are_rejected_too(tmp_path, samples):
    pieces = Pieces(tmp_path)
    pieces.write(0, samples, group=lambda sample: "train", tally=BuildTally())
    _, rejected, (tally,) = pieces.join(1)
    assert rejected == {"bad-place": len(PLACES), "bad-part": 1} and tally["samples"] == 1
    assert ShardDataset.open(tmp_path / "train").keys() == ["good"]
