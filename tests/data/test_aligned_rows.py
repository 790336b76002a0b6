"""A layer's rows by the number of their sample: the same rows as in the layer's own files."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from pathlib import Path

import pytest

from vila2.data import aligned_rows
from vila2.data.aligned_rows import align_layer
from vila2.data.annotations import Annotation
from vila2.data.claims import Claim
from vila2.data.importing import write_dataset
from vila2.data.layers import Layer, LayerWriter
from vila2.data.mixtures import ViewedDataset
from vila2.data.sample import BoxPart, assistant, user
from vila2.data.shards import ShardDataset
from vila2.data.views import View
from vila2.errors import DataError

TURNS = (user("Where?"), assistant("At ", BoxPart((0.1, 0.2, 0.3, 0.4)), "."))
CLAIM = Claim("object", 0, 5, "unverified", subject="dög")


@pytest.fixture(params=["in memory", "in files"])
def place(request, monkeypatch):
    if request.param == "in files":
        monkeypatch.setattr(aligned_rows, "_IN_MEMORY", 0)
    return request.param


@pytest.fixture
def dataset(tmp_path, pair) -> ShardDataset:
    samples = [pair(f"k{number}", number=number) for number in range(7)]
    write_dataset(tmp_path / "data", samples, name="data", shard_size=3)
    return ShardDataset.open(tmp_path / "data")


def layer_of(dataset: ShardDataset, rows: dict[int, list[Annotation]], name: str = "said") -> Layer:
    writer = LayerWriter(dataset.folder / "layers" / name, name)
    for shard_no, found in rows.items():
        writer.write_shard(shard_no, found)
    return writer.finish({"layer": name})


ROWS = {
    0: [
        Annotation("k2", "What?", "", "empty", "nothing was said"),
        Annotation("k0", "What?", "a dög\n☃", "ok", tokens=7, claims=(CLAIM,)),
        Annotation("k2", "Where?", "At .", "ok", turns=TURNS),
        Annotation("elsewhere", "", "of no sample", "ok"),
    ],
    2: [Annotation("k6", "", "the last", "ok", mark="truncated")],
}


def test_rows_are_those_of_the_layer(place, dataset):
    layer = layer_of(dataset, ROWS)
    aligned = align_layer(layer, dataset)
    keys = dataset.keys()
    for number, key in enumerate(keys):
        assert aligned.rows(number, key) == layer.get(key), key
    assert [keys[n] for n in aligned.usable().nonzero()[0]] == ["k0", "k2", "k6"]


def test_a_worker_of_a_data_loader_gets_the_same_rows(place, dataset):
    layer = layer_of(dataset, ROWS)
    viewed = ViewedDataset(dataset, View.parse("dialogue(said)"), {"said": layer})
    copied = pickle.loads(pickle.dumps(viewed))
    assert list(copied) == list(viewed) and len(copied) == 3
    assert viewed.dropped == {"missing": 4}


def test_files_of_another_content_are_not_used(dataset, monkeypatch):
    monkeypatch.setattr(aligned_rows, "_IN_MEMORY", 0)
    layer = layer_of(dataset, ROWS)
    align_layer(layer, dataset)
    [old] = layer.folder.glob(".aligned-*")
    changed = layer_of(dataset, {0: [Annotation("k1", "", "another", "ok")]})
    assert align_layer(changed, dataset).rows(1, "k1") == (Annotation("k1", "", "another", "ok"),)
    assert [folder != old for folder in changed.folder.glob(".aligned-*")] == [True]


def test_a_killed_copy_is_made_again(dataset, monkeypatch):
    monkeypatch.setattr(aligned_rows, "_IN_MEMORY", 0)
    layer = layer_of(dataset, ROWS)
    left = layer.folder / ".aligned-partial-x"
    left.mkdir()
    assert align_layer(layer, dataset).rows(0, "k0") == layer.get("k0")
    assert not left.exists()


def test_processes_that_need_a_copy_at_once_share_one(dataset):
    """As the processes of a stage do, each of which opens every layer."""
    layers = [layer_of(dataset, ROWS, f"said-{number}") for number in range(40)]
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(3, initializer=_meet, initargs=(spawn.Barrier(3),)) as pool:
        read = pool.starmap(_align, [(dataset.folder, [layer.folder for layer in layers])] * 3, chunksize=1)
    assert read == [[layer.get("k2") for layer in layers]] * 3
    for layer in layers:
        assert len(list(layer.folder.glob(".aligned*"))) == 1, "one copy, and nothing else"


def _meet(barrier) -> None:
    global _barrier
    _barrier = barrier


def _align(folder: Path, layers: list[Path]) -> list[tuple[Annotation, ...]]:
    aligned_rows._IN_MEMORY = 0
    dataset = ShardDataset.open(folder)
    opened = [Layer.open(layer) for layer in layers]
    read = []
    for layer in opened:
        _barrier.wait(60)
        read.append(align_layer(layer, dataset).rows(2, "k2"))
    return read


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_no_hindrance(dataset, monkeypatch):
    monkeypatch.setattr(aligned_rows, "_IN_MEMORY", 0)
    layer = layer_of(dataset, ROWS)
    layer.folder.chmod(0o555)
    assert align_layer(layer, dataset).rows(0, "k0") == layer.get("k0")


def test_a_layer_about_other_samples_is_an_error(place, dataset):
    other = layer_of(dataset, {0: [Annotation("x", "", "words", "ok")]})
    with pytest.raises(DataError, match="names no sample of dataset 'data'"):
        align_layer(other, dataset)


@pytest.mark.parametrize(("column", "value"), [("text", None), ("status", "fine"), ("key", None)])
def test_a_damaged_file_is_named(place, dataset, column, value):
    import pyarrow.parquet as pq

    layer = layer_of(dataset, ROWS)
    file = layer.folder / "000000.parquet"
    rows = pq.read_table(file).to_pylist()
    rows[0][column] = value
    pq.write_table(pq.read_table(file).from_pylist(rows, pq.read_schema(file)), file)
    if column == "key":  # a row of no sample is of no use
        assert align_layer(layer, dataset).rows(0, "k0") == (ROWS[0][1],)
        return
    with pytest.raises(DataError, match=r"000000\.parquet"):
        align_layer(layer, dataset)
