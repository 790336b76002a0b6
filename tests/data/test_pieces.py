"""Datasets built piece by piece: nothing is lost or doubled, and a killed build resumes where it was."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image

from vila2.data.resumable import Pieces
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import Reject, ShardDataset
from vila2.errors import DataError


def sample(key: str, *, broken: bool = False) -> Sample:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (len(key), 0, 0)).save(buffer, "PNG")
    data = b"\x89PNG\r\n\x1a\nbroken" if broken else buffer.getvalue()
    return Sample(key, (data,), (user(ImagePart(), "What?"), assistant(f"the {key}")))


class Count:
    def __init__(self):
        self.count = 0

    def add(self, _):
        self.count += 1

    def to_json(self):
        return {"count": self.count}


def group(one: Sample) -> str:
    return "even" if int(one.key) % 2 == 0 else "odd"


def write(pieces: Pieces, number: int, samples) -> None:
    pieces.write(number, samples, group=group, tally=Count())


def test_samples_come_out_sorted_into_their_datasets_in_order(tmp_path):
    pieces = Pieces(tmp_path, shard_size=2)
    write(pieces, 0, [sample("0"), sample("2"), Reject("f:1", "", "bad-row"), sample("4"), sample("1")])
    write(pieces, 1, [sample("6"), sample("3", broken=True)])
    datasets, rejected, tallies = pieces.join(2)
    assert ShardDataset.open(tmp_path / "even").keys() == ["0", "2", "4", "6"]
    assert ShardDataset.open(tmp_path / "odd").keys() == ["1"]
    assert ShardDataset.open(tmp_path / "even")[3].turns[1].text == "the 6"
    assert [info.count for info in datasets.values()] == [4, 1]
    assert rejected == {"bad-row": 1, "corrupt-image": 1} and [t["count"] for t in tallies] == [4, 1]
    assert len((tmp_path / "rejected.jsonl").read_text().splitlines()) == 2


def test_a_killed_piece_is_written_again_and_finished_ones_stay(tmp_path):
    def killed():
        yield sample("0")
        yield sample("1")
        raise KeyboardInterrupt

    whole, stopped = Pieces(tmp_path / "whole"), Pieces(tmp_path / "stopped")
    for pieces in (whole, stopped):
        write(pieces, 0, [sample("2"), sample("5")])
    with pytest.raises(KeyboardInterrupt):
        write(stopped, 1, killed())
    assert stopped.has(0) and not stopped.has(1)
    for pieces in (whole, stopped):
        write(pieces, 1, [sample("0"), sample("1")])
        pieces.join(2)
        pieces.join(2)  # a kill while joining: it is done again
    for name in ("even", "odd"):
        manifests = [json.loads((p.folder / name / "dataset.json").read_text()) for p in (whole, stopped)]
        assert manifests[0] == manifests[1]
    stopped.discard()
    assert ShardDataset.open(tmp_path / "stopped" / "even").keys() == ["2", "0"]


def test_one_key_in_two_pieces_is_an_error_that_names_it(tmp_path):
    pieces = Pieces(tmp_path)
    for number in range(2):
        write(pieces, number, [sample("8")])
    with pytest.raises(DataError, match="'8'"):
        pieces.join(2)
