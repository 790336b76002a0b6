"""Mixtures: shares by hash, weights as passes, and what a view had to drop."""

from __future__ import annotations

import pickle
from collections import Counter

import pytest
from hypothesis import given, strategies as st

from vila2.data.layers import Annotation, LayerWriter
from vila2.data.mixtures import Mixture, Portion, ViewedDataset, select_range, select_share
from vila2.data.sample import ImagePart, Sample, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.data.views import View
from vila2.errors import DataError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, pair, picture):
    folder = tmp_path_factory.mktemp("dataset")
    samples = [pair(f"k{n:03d}", f"text {n}") for n in range(100)]
    samples[7] = Sample("k007", (picture(),), (user(ImagePart()),))
    write_dataset(folder, samples, name="photos", shard_size=30)
    return ShardDataset.open(folder)


@pytest.fixture(scope="module")
def layer(tmp_path_factory, dataset):
    writer = LayerWriter(tmp_path_factory.mktemp("layer"), "self-1")
    for shard_no in range(3):  # the fourth shard was left out
        rows = []
        for number, key in zip(dataset.shard_range(shard_no), dataset.shard_keys(shard_no), strict=True):
            if number % 10 == 1:
                rows.append(Annotation(key, "p", "I can not see", "refusal"))
            elif number % 10 != 2:
                rows.append(Annotation(key, "p", f"long {number}", "ok"))
        writer.write_shard(shard_no, rows)
    return writer.finish({})


@given(st.text(), st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**31))
def test_shares_are_fixed_and_nested(key, share, other, seed):
    assert select_share(key, share, seed) == select_share(key, share, seed)
    if select_share(key, min(share, other), seed):
        assert select_share(key, max(share, other), seed)
    inside = select_range(key, min(share, other), max(share, other), seed)
    assert inside == (
        select_share(key, max(share, other), seed) and not select_share(key, min(share, other), seed)
    )
    assert select_share(key, 1.0, seed)
    assert not select_share(key, 0.0, seed)


def test_a_share_is_the_same_on_every_machine_and_about_its_size():
    chosen = [n for n in range(2000) if select_share(f"k{n}", 0.5, 0)]
    assert 920 < len(chosen) < 1080
    other = {n for n in range(2000) if select_share(f"k{n}", 0.5, 1)}
    assert 420 < len(other & set(chosen)) < 580  # another seed, an independent choice
    assert [select_share(key, 0.5, 0) for key in "abcdef"] == [True, True, True, True, False, False]


def test_dropped_samples_are_counted_by_reason(dataset, layer):
    part = ViewedDataset(dataset, View.parse("only(self-1)"), {"self-1": layer})
    assert part.dropped == {"missing": 9 + 10, "refusal": 9}
    assert len(part) == 100 - 28
    assert all(sample.turns[1].text.startswith("long") for sample in part)
    assert [sample.key for sample in part] == list(part.keys())
    original = ViewedDataset(dataset, View.parse("only(original)"))
    assert (len(original), original.dropped) == (99, {"no text": 1})


def test_concat_keeps_the_original_and_says_how_often(dataset, layer):
    part = ViewedDataset(dataset, View.parse("concat(original,self-1)"), {"self-1": layer})
    assert (len(part), part.dropped, part.lacking) == (100, {}, {"self-1": 28})
    assert [len(part[n].turns) for n in (0, 1, 2, 7)] == [3, 2, 2, 2]
    assert part[7].turns[1].text == "long 7"


def test_a_mixture_says_how_many_of_the_samples_it_takes_lack_a_layer(dataset, layer):
    part = ViewedDataset(dataset, View.parse("concat(original,self-1)"), {"self-1": layer})
    original = ViewedDataset(dataset, View.parse("only(original)"))
    mixture = Mixture([(part, Portion(select=(0, 0.4))), (part, Portion(count=5)), (original, 1)], seed=2)
    taken = list(mixture)[: sum(mixture.counts[:2])]
    without = [one for one in taken if all(turn.source != "self-1" for turn in one.turns)]
    assert 0 < len(without) < 28
    assert mixture.lacking == {"photos through concat(original,self-1)": {"self-1": len(without)}}


def test_layers_that_do_not_fit_are_named(tmp_path, dataset, layer):
    with pytest.raises(DataError, match="did you mean 'self-1'"):
        ViewedDataset(dataset, View.parse("only(self1)"), {"self-1": layer})
    writer = LayerWriter(tmp_path, "self-1")
    writer.write_shard(0, [Annotation("someone else's", "", "text", "ok")])
    with pytest.raises(DataError, match="names no sample"):
        ViewedDataset(dataset, View.parse("concat(original,self-1)"), {"self-1": writer.finish({})})


@given(st.lists(st.floats(0, 3), min_size=1, max_size=3), st.integers(0, 5))
def test_weights_are_passes(dataset, weights, seed):
    part = ViewedDataset(dataset, View.parse("only(original)"))
    keys = part.keys()
    mixture = Mixture([(part, weight) for weight in weights], seed)
    assert len(mixture) == sum(mixture.counts)
    again = Mixture([(part, weight) for weight in weights], seed)
    start = 0
    for weight, count in zip(weights, mixture.counts, strict=True):
        numbers = range(start, start + count, 17)
        assert [mixture[n].key for n in numbers] == [again[n].key for n in numbers]
        expected = {key: int(weight) + select_share(key, weight % 1, seed) for key in keys}
        assert count == sum(expected.values())
        start += count


def test_a_mixture_gives_each_sample_as_often_as_its_weight_says(dataset, layer):
    original = ViewedDataset(dataset, View.parse("only(original)"))
    recaptions = ViewedDataset(dataset, View.parse("only(self-1)"), {"self-1": layer})
    mixture = pickle.loads(pickle.dumps(Mixture([(original, 2), (recaptions, 0.5)], seed=3)))
    times = Counter((sample.key, sample.turns[1].source) for sample in mixture)
    everyone, recaptioned = original.keys(), recaptions.keys()
    assert all(times[key, "original"] == 2 for key in everyone)
    half = {key for key in recaptioned if select_share(key, 0.5, 3)}
    assert {key for key, source in times if source == "self-1"} == half
    assert mixture.dropped == {
        "photos through only(original)": {"no text": 1},
        "photos through only(self-1)": {"missing": 19, "refusal": 9},
    }
    assert mixture[-1].key == mixture[len(mixture) - 1].key
    with pytest.raises(IndexError):
        mixture[len(mixture)]


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_impossible_weights_are_refused(dataset, weight):
    with pytest.raises(DataError, match="photos"):
        Mixture([(ViewedDataset(dataset, View.parse("only(original)")), weight)], 0)


def test_ranges_that_do_not_overlap_share_no_sample_and_together_are_all(dataset):
    part = ViewedDataset(dataset, View.parse("only(original)"))
    thirds = [Portion(select=ends) for ends in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0))]
    mixture = Mixture([(part, third) for third in thirds], seed=5)
    assert sorted(sample.key for sample in mixture) == sorted(part.keys())
    assert all(count > 10 for count in mixture.counts)
    keys = part.keys()
    first = [key for key in keys if select_share(key, 0.3, 5)]
    assert [mixture[n].key for n in range(mixture.counts[0])] == first, "the same choice as a weight of 0.3"


@given(st.integers(1, 120), st.integers(1, 120), st.integers(0, 3))
def test_a_count_is_exact_and_a_larger_one_holds_it(dataset, some, more, seed):
    part = ViewedDataset(dataset, View.parse("only(original)"))

    def keys(count: int) -> set[str]:
        mixture = Mixture([(part, Portion(count=count))], seed)
        assert len(mixture) == min(count, len(part))
        assert mixture.short == (
            {"photos through only(original)": {"asked": count, "there": 99}} if count > 99 else {}
        )
        return {sample.key for sample in mixture}

    smaller, larger = sorted((some, more))
    assert keys(smaller) <= keys(larger)


def test_weight_and_count_are_of_the_range(dataset):
    part = ViewedDataset(dataset, View.parse("only(original)"))

    def keys(**portion) -> Counter:
        return Counter(sample.key for sample in Mixture([(part, Portion(**portion))], 0))

    half = keys(select=(0.5, 1.0))
    assert keys(select=(0.5, 1.0), count=10).keys() < half.keys()
    assert keys(select=(0.5, 1.0), weight=0.5) == keys(select=(0.5, 0.75))
    assert keys(select=(0.5, 1.0), weight=2) == half + half


@pytest.mark.parametrize(
    "wrong", [{"select": (0.5, 0.5)}, {"select": (-0.1, 1)}, {"count": 0}, {"weight": -1}]
)
def test_impossible_portions_are_refused(wrong):
    with pytest.raises(DataError, match=next(iter(wrong))):
        Portion(**wrong)
