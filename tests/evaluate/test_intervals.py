"""Bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from vila2.errors import DataError
from vila2.evaluate.measures.intervals import Interval, paired_ratio_bootstrap, ratio_bootstrap

VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=30)


def bootstrap(values, **how) -> Interval:
    """The mean of values with its interval."""
    return ratio_bootstrap(values, [1.0] * len(values), **how)


@given(VALUES)
def test_the_interval_lies_among_the_values_and_is_repeatable(values) -> None:
    first = bootstrap(values, seed=3, resamples=200)
    assert first == bootstrap(values, seed=3, resamples=200)
    assert first.value == pytest.approx(np.mean(values), abs=1e-9)
    assert min(values) - 1e-9 <= first.low <= first.high <= max(values) + 1e-9


def test_the_interval_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    value, low, high = bootstrap(values, seed=0)
    half = 1.96 * values.std() / 20
    assert value - low == pytest.approx(half, rel=0.1)
    assert high - value == pytest.approx(half, rel=0.1)


def test_ninety_five_of_a_hundred_intervals_hold_the_truth() -> None:
    random = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        _, low, high = bootstrap(random.normal(0, 1, 60), seed=trial, resamples=400)
        hits += low <= 0 <= high
    assert 0.89 <= hits / 200 <= 0.99


def test_pairing_narrows_the_difference() -> None:
    random = np.random.default_rng(2)
    hard = random.normal(0, 5, 300)
    a, b = hard + random.normal(0, 0.5, 300), hard + 0.5 + random.normal(0, 0.5, 300)
    ones = [1.0] * len(a)
    difference = paired_ratio_bootstrap((a, ones), (b, ones), seed=0)
    assert difference.low > 0.3 and difference.high < 0.7
    separate = bootstrap(b, seed=0)
    assert difference.high - difference.low < (separate.high - separate.low) / 5


def test_a_ratio_is_of_sums_not_a_mean_of_ratios() -> None:
    value, low, high = ratio_bootstrap([1, 0, 9], [1, 1, 10], seed=0)
    assert value == pytest.approx(10 / 12)
    assert low <= value <= high


def test_items_that_mention_nothing_do_not_count() -> None:
    assert ratio_bootstrap([0, 3], [0, 4], seed=0) == pytest.approx((0.75, 0.75, 0.75))
    assert ratio_bootstrap([0, 0], [0, 0], seed=0) == (0, 0, 0)


def test_ratios_are_paired_item_by_item() -> None:
    random = np.random.default_rng(3)
    mentioned = random.integers(1, 6, 200)
    right = random.binomial(mentioned, 0.6)
    better = np.minimum(mentioned, right + (random.random(200) < 0.3))
    value, low, high = paired_ratio_bootstrap((right, mentioned), (better, mentioned), seed=0)
    assert value == pytest.approx(better.sum() / mentioned.sum() - right.sum() / mentioned.sum())
    assert 0 < low < value < high
    alone = ratio_bootstrap(better, mentioned, seed=0)
    assert high - low < alone.high - alone.low


@pytest.mark.filterwarnings("error")
def test_a_paired_ratio_where_one_measured_nothing_says_so_by_its_value() -> None:
    assert paired_ratio_bootstrap(([0, 0], [0, 0]), ([1, 0], [1, 1]), seed=0) == (0.5, 0.5, 0.5)


def test_large_sets_fit_into_memory() -> None:
    value, low, high = bootstrap(np.arange(200_000) % 2, seed=0, resamples=200)
    assert value == 0.5 and high - low < 0.01


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_nothing_and_no_numbers_are_refused(values) -> None:
    with pytest.raises(DataError):
        bootstrap(values, seed=0)


def test_unpaired_items_are_refused() -> None:
    with pytest.raises(DataError, match="cannot be paired"):
        paired_ratio_bootstrap(([1.0], [1.0]), ([1.0, 2.0], [1.0, 1.0]), seed=0)
