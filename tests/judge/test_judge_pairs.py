"""Which texts are compared: by hash, a larger count goes on, and what is left out is counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.judge.judging import color_of, two_layers, write_layer, write_set, wrong
from vila2.data.layers import original_layer
from vila2.data.sample import Sample, assistant
from vila2.data.shards import ShardDataset, write_dataset
from vila2.errors import DataError
from vila2.judge.pairs import MOVED, check_count, choose_checks, choose_pairs


def test_more_pairs_begin_with_the_same_ones_and_the_seed_chooses_others(tmp_path: Path):
    dataset, layers = two_layers(tmp_path / "set")
    some = choose_pairs(dataset, layers, count=10, seed=1)
    every = choose_pairs(dataset, layers, count=5000, seed=1)
    assert [pair.id for pair in every.pairs[:10]] == [pair.id for pair in some.pairs]
    assert {pair.key for pair in every.pairs} == set(dataset.keys()) and len(every.pairs) == 40
    assert [pair.key for pair in some.pairs] != dataset.keys()[:10]
    other = choose_pairs(dataset, layers, count=10, seed=2)
    assert {pair.key for pair in other.pairs} != {pair.key for pair in some.pairs}
    pair = some.pairs[0]
    assert pair.layers == ("original", "self-1")
    assert pair.texts == (f"a {color_of(int(pair.key))} wall", wrong(int(pair.key)))


def test_every_image_is_compared_once_before_any_is_twice(tmp_path: Path):
    dataset, layers = two_layers(tmp_path / "set")
    layers["self-2"] = write_layer(dataset, "self-2", lambda number: f"wall {number}")
    chosen = choose_pairs(dataset, layers, count=40, seed=0)
    assert max(Counter(pair.key for pair in chosen.pairs).values()) == 1
    two = [("original", "self-1"), ("original", "self-2"), ("self-1", "self-2")]
    assert set(Counter(pair.layers for pair in chosen.pairs)) == set(two)
    every = choose_pairs(dataset, layers, count=5000, seed=0)
    assert every.pairs[:40] == chosen.pairs
    assert Counter(pair.layers for pair in every.pairs) == dict.fromkeys(two, 40)
    assert len({pair.id for pair in every.pairs}) == 120


def test_what_has_no_usable_text_is_left_out_and_counted(tmp_path: Path):
    dataset = write_set(tmp_path / "set")
    status = lambda number: "refusal" if number % 4 == 0 else "truncated" if number == 1 else "ok"  # noqa: E731
    layers = {"original": original_layer(dataset), "self-1": write_layer(dataset, "self-1", wrong, status)}
    chosen = choose_pairs(dataset, layers, count=5000, seed=0)
    assert len(chosen.pairs) == 29 and chosen.images == 40
    assert chosen.left_out == {"self-1: refusal": 10, "self-1: truncated": 1}
    assert not {pair.key for pair in chosen.pairs} & {"0000", "0004", "0001"}


def test_samples_without_images_are_left_out(tmp_path: Path):
    write_dataset(tmp_path / "set", [Sample("a", (), (assistant("text"),))], name="texts")
    dataset = ShardDataset.open(tmp_path / "set")
    layers = {"original": original_layer(dataset), "self-1": write_layer_of_one(dataset)}
    with pytest.raises(DataError, match=r"no image has usable text .* \(no image 1\)"):
        choose_pairs(dataset, layers, count=5, seed=0)


def write_layer_of_one(dataset: ShardDataset):
    from vila2.data.layers import Annotation, LayerWriter

    writer = LayerWriter(dataset.folder / "layers" / "self-1", "self-1")
    writer.write_shard(0, [Annotation("a", "", "other text", "ok")])
    return writer.finish({})


def test_one_layer_is_nothing_to_compare(tmp_path: Path):
    dataset = write_set(tmp_path / "set", 3)
    with pytest.raises(DataError, match="two layers"):
        choose_pairs(dataset, {"original": original_layer(dataset)}, count=5, seed=0)


def test_a_check_shows_an_image_with_its_own_text_and_another_ones(tmp_path: Path):
    dataset, layers = two_layers(tmp_path / "set")
    checks = choose_checks(dataset, "original", layers["original"], count=12, seed=3)
    assert len(checks) == 12 and all(check.layers[1] == MOVED for check in checks)
    for check in checks:
        assert check.layers == ("original", MOVED)
        assert check.texts[0] == f"a {color_of(int(check.key))} wall"
        assert check.texts[1] != check.texts[0]
    assert len(choose_checks(dataset, "original", layers["original"], count=1, seed=3)) == 1
    same = write_layer(dataset, "same", lambda number: "a wall")
    with pytest.raises(DataError, match="two different texts"):
        choose_checks(dataset, "same", same, count=5, seed=0)
    assert [check_count(pairs) for pairs in (5, 500, 5000)] == [20, 50, 200]
