"""When to stop: what the interval of a round's gain says, and which round goes on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from vila2.cycle.saturation import best_round, gain_of, judge
from vila2.errors import DataError
from vila2.evaluate.measures.intervals import Interval
from vila2.evaluate.measures.items import Items


def answers(right: np.ndarray) -> Items:
    return Items.of_means([str(number) for number in range(len(right))], right)


def gain(before: np.ndarray, after: np.ndarray, delta: float = 0.5):
    return gain_of(answers(before), answers(after), measure="questions", delta=delta, seed=0)


def test_a_clear_gain_goes_on_and_a_loss_stops():
    before = np.zeros(400)
    after = before.copy()
    after[:40] = 1
    assert gain(before, after).answer == "improving"
    assert gain(after, before).answer == "saturated"
    assert gain(before, after).gain == pytest.approx(10.0)


def test_a_round_that_changes_nothing_is_saturated():
    same = np.arange(300) % 2
    assert gain(same, same).answer == "saturated"


def test_too_few_items_are_undecided_and_it_is_said_how_many_would_decide():
    random = np.random.default_rng(0)
    before, after = random.integers(0, 2, (2, 200))
    found = gain(before, after, delta=5)
    assert found.answer == "undecided" and found.items == 200
    assert "would decide" in str(found)
    # So many more items of the same kind do decide: the interval is then as narrow as delta.
    assert found.items_needed == pytest.approx(200 * ((found.high - found.low) / 5) ** 2, abs=1)
    before, after = random.integers(0, 2, (2, found.items_needed))
    more = gain(before, after, delta=5)
    assert more.high - more.low == pytest.approx(5, rel=0.1) and more.answer != "undecided"


@given(st.floats(-20, 20), st.floats(0, 20), st.floats(0.01, 5))
def test_what_is_narrower_than_delta_is_always_decided(low, width, delta):
    answer = judge(Interval(low + width / 2, low, low + width), delta)
    if width < delta:
        assert answer != "undecided"
    if answer == "saturated":
        assert low + width < delta


def test_a_measure_without_anything_to_measure_decides_nothing():
    nothing = Items(["a", "b"], [0.0, 0.0], [0.0, 0.0])
    with pytest.raises(DataError, match="captions/x: there was nothing to measure in the round before"):
        gain_of(nothing, Items(["a", "b"], [1.0, 1.0], [1.0, 1.0]), measure="captions/x", delta=1, seed=0)


def test_the_best_round_goes_on_and_of_equals_the_first():
    assert best_round([0.5, 0.7, 0.7, 0.6]) == 1


def test_rounds_measured_on_different_items_or_by_less_is_better_are_refused():
    items = answers(np.ones(3))
    with pytest.raises(DataError, match="different items"):
        gain_of(items, answers(np.ones(4)), measure="questions", delta=0.5, seed=0)
    worse = Items(items.keys, items.numerators, items.denominators, higher_is_better=False)
    with pytest.raises(DataError, match="not better"):
        gain_of(worse, worse, measure="captions/hallucinated", delta=0.5, seed=0)
