"""Captions of other images, and texts of another dataset, as layers."""

from __future__ import annotations

import pytest

from vila2.caption.borrowed import shuffle_layer, text_layer
from vila2.data.layers import Annotation, LayerWriter
from vila2.data.shards import ShardDataset, write_dataset
from vila2.errors import DataError
from vila2.sources import open_source


@pytest.fixture
def dataset(tmp_path) -> ShardDataset:
    write_dataset(
        tmp_path / "pairs", open_source("world", split="pretrain", count=12, content="alt_text"), name="pairs"
    )
    return ShardDataset.open(tmp_path / "pairs")


def captions(dataset, folder, keys):
    writer = LayerWriter(folder, "self-1")
    writer.write_shard(0, [Annotation(key, "Describe.", f"about {key}", "ok") for key in keys])
    return writer.finish({})


def test_every_image_gets_another_ones_caption_and_all_are_given_away(dataset, tmp_path):
    keys = dataset.keys()
    layer = captions(dataset, tmp_path / "self-1", keys[:10])
    shuffled = shuffle_layer(dataset, layer, folder=tmp_path / "shuffled", name="shuffled-1", seed=0)
    given = {row.key: row.text.removeprefix("about ") for row in shuffled.rows()}
    assert list(given) == keys[:10], "what was left out stays left out, and the order is the dataset's"
    assert sorted(given.values()) == sorted(keys[:10])
    assert all(key != source for key, source in given.items())
    again = shuffle_layer(dataset, layer, folder=tmp_path / "again", name="shuffled-1", seed=0)
    other = shuffle_layer(dataset, layer, folder=tmp_path / "other", name="shuffled-1", seed=1)
    assert again.digest == shuffled.digest != other.digest


def test_one_caption_can_not_be_shuffled(dataset, tmp_path):
    layer = captions(dataset, tmp_path / "self-1", dataset.keys()[:1])
    with pytest.raises(DataError, match="1 images"):
        shuffle_layer(dataset, layer, folder=tmp_path / "shuffled", name="shuffled-1", seed=0)


def test_true_captions_come_from_a_dataset_of_the_same_scenes(dataset, tmp_path):
    write_dataset(
        tmp_path / "true", open_source("world", split="pretrain", count=8, content="test"), name="true"
    )
    texts = ShardDataset.open(tmp_path / "true")
    layer = text_layer(dataset, texts, folder=tmp_path / "given", name="given-1")
    assert [row.key for row in layer.rows()] == dataset.keys()[:8]
    assert layer.get(dataset.keys()[3])[0].text == texts[3].turns[1].text
    few = dataset.keys()[2:5]
    some = text_layer(dataset, texts, folder=tmp_path / "some", name="given-1", select=lambda key: key in few)
    assert [row.key for row in some.rows()] == few


def test_a_dataset_of_other_keys_is_refused(dataset, tmp_path):
    write_dataset(tmp_path / "sft", open_source("world", split="sft", count=2, content="test"), name="sft")
    with pytest.raises(DataError, match="none of the images"):
        text_layer(dataset, ShardDataset.open(tmp_path / "sft"), folder=tmp_path / "given", name="given-1")
