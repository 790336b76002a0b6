"""The statistics against closed forms, brute force, and judges whose nature is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from vila2.judge.bradley_terry import davidson, strengths
from vila2.judge.length_control import can_control, controlled_rate, overlap, scaled
from vila2.judge.pairs import Pair
from vila2.judge.resampling import PRIOR, joined, row_weights, share_interval, sign_test
from vila2.judge.votes import Vote
from vila2.judge.win_rates import judge_results


def rows_of(counts: dict[tuple[int, int, float], int]):
    """first, second, score, one row per comparison."""
    rows = [key for key, count in counts.items() for _ in range(count)]
    first, second, score = zip(*rows, strict=True)
    return list(first), list(second), list(score)


def test_two_layers_have_davidsons_closed_form():
    won, lost, ties = 500, 200, 300
    first, second, score = rows_of({(0, 1, 1.0): won, (0, 1, 0.0): lost, (0, 1, 0.5): ties})
    found = strengths(first, second, score, np.ones((1, 1000)), layers=2)
    assert found[0] == pytest.approx([0, np.log(won / lost)], abs=1e-3)
    design = np.ones((1000, 1))
    coefficients = davidson(design, np.asarray(score), np.ones((1, 1000)))[0]
    assert coefficients[1] == pytest.approx(np.log(ties / np.sqrt(won * lost)), abs=1e-3)


def test_three_layers_have_the_highest_likelihood_that_a_search_finds():
    counts = {(0, 1, 1.0): 9, (0, 1, 0.0): 4, (0, 1, 0.5): 5, (1, 2, 1.0): 3, (1, 2, 0.0): 8, (0, 2, 1.0): 6}
    counts |= {(0, 2, 0.5): 2, (0, 2, 0.0): 5}
    first, second, score = map(np.asarray, rows_of(counts))
    design = np.zeros((len(score), 3))
    design[np.arange(len(score)), first] -= 1
    design[np.arange(len(score)), second] += 1

    def posterior(b: np.ndarray) -> float:
        """Written out from the model's definition."""
        s, v = np.exp(b[:3]), np.exp(b[3])
        total = 0.0
        for (i, j, won), count in counts.items():
            even = v * np.sqrt(s[i] * s[j])
            part = {1.0: s[j], 0.0: s[i], 0.5: even}[won]
            total += count * np.log(part / (s[i] + s[j] + even))
        return total - PRIOR / 2 * float((b**2).sum())

    best, step = np.zeros(4), 1.0
    while step > 1e-6:  # a pattern search: slow, and knows nothing of slopes
        around = [best + step * np.array(move) for move in itertools.product((-1, 0, 1), repeat=4)]
        better = max(around, key=posterior)
        best, step = (better, step) if posterior(better) > posterior(best) + 1e-12 else (best, step / 2)
    found = davidson(design, score, np.ones((1, len(score))))[0]
    assert found == pytest.approx(best, abs=1e-3)
    assert posterior(found) >= posterior(best) - 1e-9


def test_a_layer_that_always_wins_has_a_finite_strength_and_weights_are_repetitions():
    found = strengths([0] * 50, [1] * 50, [1.0] * 50, np.ones((1, 50)), layers=2)
    assert 3 < found[0, 1] < 20
    weights = np.array([[2.0, 1, 0, 3]])
    weighted = strengths([0, 0, 0, 0], [1, 1, 1, 1], [1.0, 0.0, 0.5, 1.0], weights, layers=2)
    plain = strengths([0] * 6, [1] * 6, [1.0, 1.0, 0.0, 1.0, 1.0, 1.0], np.ones((1, 6)), layers=2)
    assert weighted == pytest.approx(plain)


def test_equal_rows_are_joined_with_their_weights():
    table, weights = joined(np.array([[1, 2.0], [0, 1], [1, 2]]), np.array([[1.0, 10, 100], [1, 1, 1]]))
    assert table.tolist() == [[0, 1], [1, 2]]
    assert weights.tolist() == [[10, 101], [1, 2]]


def test_images_are_drawn_whole():
    weights = row_weights(["a", "b", "a", "c"], seed=0, resamples=50)
    assert weights[0].tolist() == [1, 1, 1, 1]
    assert (weights[:, 0] == weights[:, 2]).all() and (weights[1:, 0] != weights[1:, 1]).any()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_votes_on_one_image_do_not_narrow_an_interval():
    values = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0] * 5
    images = [f"{n}" for n in range(40)]
    plain = share_interval(values, images, seed=0)
    assert share_interval(values * 9, images * 9, seed=0) == pytest.approx(plain)
    assert share_interval([1] * 9, ["a", "b", "c"] * 3, seed=0) == (1, pytest.approx(0.025 ** (1 / 3)), 1)


def simulated(quality: float, length: float, shift: float, count: int = 4000):
    """Scores of a judge with a taste for quality and for length; the second text is ``shift`` longer."""
    random = np.random.default_rng(5)
    differences = np.rint(random.normal(shift, 10, count)).astype(int)
    odds = quality + length * scaled(differences)
    return (random.random(count) < 1 / (1 + np.exp(-odds))).astype(float), differences


def test_at_equal_length_a_taste_for_length_alone_is_a_coin():
    scores, differences = simulated(quality=0.0, length=2.0, shift=8)
    assert scores.mean() > 0.65
    rate = controlled_rate(scores, scaled(differences), np.ones((1, len(scores))))[0]
    assert rate == pytest.approx(0.5, abs=0.03)


def test_at_equal_length_a_taste_for_quality_stays():
    scores, differences = simulated(quality=1.0, length=2.0, shift=-8)
    assert scores.mean() < 0.6
    rate = controlled_rate(scores, scaled(differences), np.ones((1, len(scores))))[0]
    assert rate == pytest.approx(1 / (1 + np.exp(-1.0)), abs=0.03)


def test_without_any_difference_in_length_the_controlled_rate_is_the_raw_one():
    scores = [1.0] * 30 + [0.0] * 10 + [0.5] * 8
    rate = controlled_rate(scores, scaled([0] * 48), np.ones((1, 48)))[0]
    assert rate == pytest.approx(34 / 48, abs=1e-3)


def test_length_and_layer_cannot_be_told_apart_where_one_is_always_longer():
    assert not can_control([5, 8, 30, 12] * 50) and overlap([5, 8, 30, 12]) == 0
    assert can_control([5, -8, 30, -12] * 50) and overlap([5, -8, 30, -12]) == 0.5
    assert can_control([0] * 40)
    assert not can_control([5, -8] * 5)  # five pairs


def judged(texts, verdicts, checks=()):
    """Results of pairs with these texts, each with the two verdicts given."""
    pairs = [Pair(f"{n}", ("original", "self-1"), two) for n, two in enumerate(texts)]
    votes = {
        pair.id: (Vote(pair.id, 0, one), Vote(pair.id, 1, other))
        for pair, (one, other) in zip(pairs, verdicts, strict=True)
    }
    found = judge_results(pairs, checks, lambda id: votes.get(id, ()), ["original", "self-1"], seed=0)
    return found, found["matches"][0]


TEXTS = [("a dog runs", "a dog"), ("a dog", "a dog runs")]


def test_wins_ties_and_disagreements_are_counted_and_ties_are_half():
    verdicts = [("B", "A")] * 20 + [("A", "B")] * 10 + [("tie", "tie")] * 6 + [("A", "A")] * 4
    verdicts += [("unparsed", "A")] * 5
    found, match = judged((TEXTS * 30)[: len(verdicts)], verdicts)
    assert (match["won"], match["lost"], match["scored"]) == (20, 10, 40)
    assert match["kinds"] == {"decided": 30, "tie": 6, "inconsistent": 4, "unparsed": 5}
    value, low, high = match["win_rate"]
    assert value == pytest.approx(25 / 40) and low < value < high
    assert match["can_control"] and match["controlled"][0] == pytest.approx(25 / 40, abs=0.05)
    assert found["trust"]["agrees"][0] == pytest.approx(36 / 40)
    assert found["trust"]["inconsistent"] == 4 and found["trust"]["verdicts"]["unparsed"] == 5
    strength = {row["layer"]: row["strength"] for row in found["strengths"]}
    assert strength["original"] == [0, 0, 0]
    assert strength["self-1"][0] == pytest.approx(np.log(2), abs=0.02)


def test_a_judge_that_takes_what_is_shown_first_agrees_never_and_prefers_nothing():
    found, match = judged(TEXTS * 20, [("A", "A")] * 40)
    assert match["win_rate"] == [0.5, 0.5, 0.5]
    assert found["trust"]["agrees"][0] == 0 and found["trust"]["shown_first"][0] == 1


@pytest.mark.parametrize(("count", "preferred"), [(3, None), (5, None), (6, "self-1"), (40, "self-1")])
def test_a_few_wins_in_a_row_are_no_preference(count: int, preferred: str | None):
    found, match = judged((TEXTS * count)[:count], [("B", "A")] * count)
    assert (
        match["win_rate"] == [1, pytest.approx(0.025 ** (1 / count)), 1] and match["preferred"] == preferred
    )
    assert found["strengths"][1]["strength"][1:] == [None, None]
    _, match = judged((TEXTS * count)[: count + 1], [("B", "A")] * count + [("tie", "tie")])
    assert match["preferred"] == preferred  # the bootstrap alone would see one in three wins and a tie


@pytest.mark.parametrize(("won", "lost", "p"), [(0, 0, 1.0), (3, 0, 0.25), (6, 0, 2 / 64), (7, 1, 18 / 256)])
def test_the_sign_test_is_that_of_a_coin(won: int, lost: int, p: float):
    assert sign_test(won, lost) == sign_test(lost, won) == pytest.approx(p)


def test_nothing_is_claimed_where_nothing_was_judged():
    found, match = judged(TEXTS, [("unparsed", "unparsed")] * 2)
    assert match["win_rate"] is None and found["strengths"] == [] and found["trust"]["agrees"] is None


def test_a_layer_that_no_chain_of_comparisons_reaches_has_no_strength():
    names = ["original", "self-1", "self-2", "self-3", "self-4"]
    two = [("original", "self-1"), ("self-1", "self-2"), ("self-3", "self-4")] * 10
    pairs = [Pair(f"{n}", layers, TEXTS[n % 2]) for n, layers in enumerate(two)]
    vote = {pair.id: (Vote(pair.id, 0, "AB"[n % 4 < 3]),) for n, pair in enumerate(pairs)}
    found = judge_results(pairs, [], vote.__getitem__, names, seed=0)
    assert [row["strength"] is None for row in found["strengths"]] == [False, False, False, True, True]
    assert found["strengths"][2]["strength"][0] > found["strengths"][1]["strength"][0] > 0
