"""Datasets of more shards than a process holds open: indexes are loaded once, changes are noticed."""

from __future__ import annotations

import pytest

from vila2.data.shards import ShardDataset, write_dataset
from vila2.errors import DataError


@pytest.fixture
def dataset(tmp_path, pair, monkeypatch):
    monkeypatch.setattr("vila2.data.shards._OPEN_SHARDS", 2)
    write_dataset(tmp_path, [pair(f"k{n}", f"text {n}") for n in range(24)], name="d", shard_size=2)
    return ShardDataset.open(tmp_path)


def texts(dataset: ShardDataset) -> list[str]:
    return [dataset[number * 7 % 24].turns[1].text for number in range(24)]


def index_files(dataset: ShardDataset) -> list:
    return sorted(dataset.folder.glob("shards/*.index"))


def test_an_index_is_loaded_once_however_often_its_shard_is_opened(dataset):
    expected = [f"text {number * 7 % 24}" for number in range(24)]
    assert texts(dataset) == expected
    for file in index_files(dataset):
        file.unlink()
    assert texts(dataset) == expected and not index_files(dataset), "no index was needed again"


def test_indexes_beyond_the_bound_are_loaded_again(dataset, monkeypatch):
    monkeypatch.setattr("vila2.data.shards._INDEX_BYTES", 3 * dataset.index(0).memory)
    found = texts(dataset)
    for file in index_files(dataset):
        file.unlink()
    assert texts(dataset) == found
    assert 8 <= len(index_files(dataset)) <= 10, "two were open, and three were kept"


def test_a_shard_that_changed_while_it_was_closed_is_noticed(dataset):
    texts(dataset)
    tar = dataset.paths[0]
    tar.write_bytes(tar.read_bytes().replace(b"text 1", b"next 1"))
    with pytest.raises(DataError, match=r"000000\.tar: the \.json of sample 'k1' is not what was written"):
        dataset[1]
