"""Plans of packs: every sample once, nothing above its limit, and full."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from vila2.errors import DataError
from vila2.packing.plan import plan_packs

SAMPLES = st.lists(st.tuples(st.integers(1, 64), st.integers(0, 5)), max_size=80)


def first_fit_decreasing(tokens, capacity) -> int:
    """How many packs the textbook's method makes."""
    rooms = []
    for length in sorted(tokens, reverse=True):
        place = next((n for n, room in enumerate(rooms) if room >= length), None)
        if place is None:
            rooms.append(capacity - length)
        else:
            rooms[place] -= length
    return len(rooms)


@given(SAMPLES, st.integers(64, 200), st.one_of(st.none(), st.integers(5, 12)), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_every_sample_once_and_no_pack_above_its_limits(samples, capacity, most, seed):
    tokens = [length for length, _ in samples]
    images = [count for _, count in samples]
    packs = plan_packs(tokens, images, capacity=capacity, max_images=most, seed=seed)
    rows = [packs[number] for number in range(len(packs))]
    assert sorted(sample for row in rows for sample in row) == list(range(len(samples)))
    assert all(row and sum(tokens[sample] for sample in row) <= capacity for row in rows)
    assert all(most is None or sum(images[sample] for sample in row) <= most for row in rows)
    again = plan_packs(tokens, images, capacity=capacity, max_images=most, seed=seed)
    assert [again[number] for number in range(len(again))] == rows
    if most is None:
        # Few or odd lengths: never much worse than the textbook's method.
        assert len(packs) <= first_fit_decreasing(tokens, capacity) * 1.25 + 1


@pytest.mark.parametrize("capacity", [2048, 4096])
def test_fill_of_pairs_and_interleaved_samples(capacity):
    dice = np.random.default_rng(0)
    pairs = 196 + dice.lognormal(4, 0.7, 4000).astype(int)
    several = 196 * dice.integers(2, 7, 900) + dice.lognormal(6, 0.6, 900).astype(int)
    tokens = np.minimum(np.concatenate([pairs, several]), 2048)
    packs = plan_packs(tokens, np.ones_like(tokens), capacity=capacity)
    assert packs.fill > 0.98
    assert len(packs) <= first_fit_decreasing(tokens.tolist(), capacity)


@pytest.mark.parametrize("capacity", [4096, 8192])
@pytest.mark.parametrize("long_texts", [False, True])
def test_packs_come_near_the_bound_where_tokens_and_images_both_run_out(capacity, long_texts):
    dice = np.random.default_rng(0)
    kind = dice.random(3000)
    images = np.where(
        kind < (0.3 if long_texts else 0), 0, np.where(kind < 0.8, 1, dice.integers(2, 7, 3000))
    )
    words = np.where(images == 1, dice.lognormal(4.5, 0.8, 3000), dice.lognormal(6.5, 0.5, 3000)).astype(int)
    tokens = np.minimum(196 * images + words + 1, 4096)
    most = round(capacity * images.sum() / tokens.sum())
    packs = plan_packs(tokens, images, capacity=capacity, max_images=most)
    bound = max(-(-tokens.sum() // capacity), -(-images.sum() // most))
    assert len(packs) <= 1.02 * bound + 1


def test_many_samples_of_few_kinds_are_packed_like_few():
    few = plan_packs([60, 40, 30, 20, 10] * 3, [0] * 15, capacity=100)
    many = plan_packs([60, 40, 30, 20, 10] * 3000, [0] * 15000, capacity=100)
    assert few.fill == 0.96 and many.fill == 1
    assert np.array_equal(np.sort(many.order), np.arange(15000))


def test_another_seed_puts_other_samples_together():
    tokens = [10] * 60
    plans = [plan_packs(tokens, [0] * 60, capacity=30, seed=seed) for seed in (0, 1)]
    assert [len(plan) for plan in plans] == [20, 20] and plans[0].fill == 1
    assert {frozenset(plans[0][n]) for n in range(20)} != {frozenset(plans[1][n]) for n in range(20)}


def test_text_fills_up_a_pack_that_has_its_images():
    packs = plan_packs([40, 40, 20, 20], [2, 2, 0, 0], capacity=100, max_images=2)
    assert sorted(sorted(packs[n]) for n in range(len(packs))) in ([[0, 2, 3], [1]], [[0], [1, 2, 3]])


@pytest.mark.parametrize(
    "tokens, images, said",
    [
        ([5, 101], [0, 0], r"sample 1 .*longer than a pack of 100"),
        ([5, 7], [0, 4], r"sample 1 .*more images than a pack of 3"),
        ([0], [0], r"sample 0 .*no tokens"),
    ],
)
def test_a_sample_that_fits_nowhere_is_named(tokens, images, said):
    with pytest.raises(DataError, match=said):
        plan_packs(tokens, images, capacity=100, max_images=3)
