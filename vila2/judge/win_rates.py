"""Statistics of the votes: win rates, raw and at equal length, strengths, and trust in the judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np

from vila2.evaluate.measures.intervals import Floats
from vila2.judge.bradley_terry import strengths
from vila2.judge.length_control import can_control, controlled_rate, overlap, scaled
from vila2.judge.pairs import Pair
from vila2.judge.resampling import LEVEL, interval, row_weights, share_interval, sign_test
from vila2.judge.votes import Vote, VoteOutcome, decide, kinds
from vila2.report.judged_results import Bounds, JudgeCheck, Match, OpenBounds, Statistics, Strength, Trust

#: Share of right checks below which a judge cannot see; one that guesses gets half of them right.
SEES_FROM = 0.6
#: Smallest number of pairs of which a share says anything.
_FEWEST = 2


def judge_results(
    pairs: Sequence[Pair],
    checks: Sequence[Pair],
    votes_on: Callable[[str], tuple[Vote, ...]],
    layers: Sequence[str],
    *,
    seed: int,
) -> Statistics:
    """Computes all statistics of the votes.

    Args:
        pairs: comparisons, as chosen.
        checks: checks, as chosen; may be none.
        votes_on: function that returns the votes on a pair, given its id.
        layers: names of the layers in the order of the tables; strengths are relative to the first.
        seed: seed of the bootstrap, which draws images.
    """
    outcomes = [decide(pair, votes_on(pair.id)) for pair in pairs]
    checked = [decide(pair, votes_on(pair.id)) for pair in checks]
    scored = _scored(outcomes)
    matches = []
    for two in combinations(layers, 2):
        own = [outcome for outcome in outcomes if outcome.pair.layers == two]
        if own:
            matches.append(_match(two, own, seed))
    return {
        "pairs": {"chosen": len(pairs), "scored": len(scored), "kinds": kinds(outcomes)},
        "matches": matches,
        "strengths": _strengths(scored, layers, [match["can_control"] for match in matches], seed),
        "trust": _trust([*outcomes, *checked], seed),
        "check": _check(checked, seed) if checks else None,
    }


def word_difference(pair: Pair) -> int:
    """Counts the words of the second text minus those of the first."""
    first, second = (len(text.split()) for text in pair.texts)
    return second - first


class _Scored(NamedTuple):
    """A pair that counts: its score is 1 where the second text won, 0 where the first did, 0.5 for a tie."""

    pair: Pair
    score: float


def _scored(outcomes: Sequence[VoteOutcome]) -> list[_Scored]:
    return [_Scored(outcome.pair, outcome.score) for outcome in outcomes if outcome.score is not None]


def _match(two: tuple[str, str], outcomes: Sequence[VoteOutcome], seed: int) -> Match:
    scored = _scored(outcomes)
    scores = [one.score for one in scored]
    differences = [word_difference(one.pair) for one in scored]
    won, lost = scores.count(1.0), scores.count(0.0)
    enough = len(scored) >= _FEWEST
    rate = list(share_interval(scores, _images(scored), seed=seed)) if enough else None
    controllable = enough and can_control(differences)
    return {
        "first": two[0],
        "second": two[1],
        "kinds": kinds(outcomes),
        "scored": len(scored),
        "won": won,
        "lost": lost,
        "preferred": _preferred(two, rate, won, lost) if rate else None,
        "words": [_mean_words(scored, side) for side in (0, 1)],
        "win_rate": rate,
        "can_control": controllable,
        "longer_share": overlap(differences) if scored else None,
        "controlled": _controlled(scored, differences, rate, seed) if rate and controllable else None,
    }


def _images(scored: Sequence[_Scored]) -> list[str]:
    return [one.pair.key for one in scored]


def _controlled(scored: Sequence[_Scored], differences: Sequence[int], rate: Bounds, seed: int) -> Bounds:
    """The win rate at equal length, given the raw one."""
    scores = [one.score for one in scored]
    if set(scores) in ({0.0}, {1.0}):
        return rate  # won, or lost, at every difference in length
    return list(
        interval(controlled_rate(scores, scaled(differences), row_weights(_images(scored), seed=seed)))
    )


def _preferred(two: tuple[str, str], rate: Bounds, won: int, lost: int) -> str | None:
    """The layer that is preferred beyond chance, by the interval, and by a sign test for few pairs."""
    _, low, high = rate
    if low <= 0.5 <= high or sign_test(won, lost) > 1 - LEVEL:
        return None
    return two[1] if low > 0.5 else two[0]


def _mean_words(scored: Sequence[_Scored], side: Literal[0, 1]) -> float | None:
    counts = [len(one.pair.texts[side].split()) for one in scored]
    return float(np.mean(counts)) if counts else None


def _strengths(
    scored: Sequence[_Scored], layers: Sequence[str], can_control: Sequence[bool], seed: int
) -> list[Strength]:
    """Raw strengths, and those at equal length where every two layers allow it."""
    if len(scored) < _FEWEST:
        return []
    numbers = {layer: number for number, layer in enumerate(layers)}
    first, second = ([numbers[one.pair.layers[side]] for one in scored] for side in (0, 1))
    scores = [one.score for one in scored]
    weights = row_weights(_images(scored), seed=seed)
    raw = strengths(first, second, scores, weights, layers=len(layers))
    controlled = None
    if all(can_control):
        length = scaled([word_difference(one.pair) for one in scored])
        controlled = strengths(first, second, scores, weights, layers=len(layers), length=length)
    compared = _connected(scored, layers[0])
    rows: list[Strength] = []
    for layer, number in numbers.items():
        bounded = not (number and _all_alike(scored, layer))
        raw_bounds, controlled_bounds = (
            _bounds(fits, number, bounded=bounded) if layer in compared else None
            for fits in (raw, controlled)
        )
        rows.append({"layer": layer, "strength": raw_bounds, "controlled": controlled_bounds})
    return rows


def _bounds(fits: Floats | None, number: int, *, bounded: bool) -> OpenBounds | None:
    """A layer's strength with its interval, which is open where the votes do not bound it."""
    if fits is None:
        return None
    value, low, high = interval(fits[:, number])
    return [value, low, high] if bounded else [value, None, None]


def _connected(scored: Sequence[_Scored], layer: str) -> set[str]:
    """The layers that a chain of comparisons connects with this one; nothing is known of the others."""
    two = {one.pair.layers for one in scored}
    known: set[str] = {name for names in two for name in names if name == layer}
    while more := {name for names in two if known & set(names) for name in names} - known:
        known |= more
    return known


def _all_alike(scored: Sequence[_Scored], layer: str) -> bool:
    """Whether a layer won all, or lost all: nothing bounds its strength, and resampling shows no spread."""
    own = [one for one in scored if layer in one.pair.layers]
    won = {one.score if one.pair.layers[1] == layer else 1 - one.score for one in own}
    return len(won) < 2


def _trust(outcomes: Sequence[VoteOutcome], seed: int) -> Trust:
    """How the judge agrees with itself over the two orders, and whether it favors what is shown first."""
    votes = [(outcome.pair.key, vote) for outcome in outcomes for vote in outcome.votes]
    verdicts = Counter(vote.verdict for _, vote in votes)
    twice = [o for o in outcomes if len(o.votes) == 2 and None not in [vote.score for vote in o.votes]]
    agrees = [(outcome.pair.key, outcome.kind != "inconsistent") for outcome in twice]
    first = [(key, vote.verdict == "A") for key, vote in votes if vote.verdict in ("A", "B")]
    return {
        "votes": len(votes),
        "verdicts": dict(sorted(verdicts.items())),
        "twice": len(twice),
        "inconsistent": sum(not agreed for _, agreed in agrees),
        "agrees": _share(agrees, seed),
        "shown_first": _share(first, seed),
    }


def _share(rows: Sequence[tuple[str, float]], seed: int) -> Bounds | None:
    """The mean over rows of (image, value), with its interval; None where there are none."""
    if not rows:
        return None
    images, values = zip(*rows, strict=True)
    return list(share_interval(values, images, seed=seed))


def _check(checked: Sequence[VoteOutcome], seed: int) -> JudgeCheck:
    """The share of checks that the image's own text won, ties half: a judge that guesses gets half."""
    right = [(one.pair.key, 1 - one.score) for one in _scored(checked)]
    share = _share(right, seed)
    return {
        "count": len(checked),
        "scored": len(right),
        "kinds": kinds(checked),
        "right": share,
        "sees": _sees(share) if share else None,
    }


def _sees(share: Bounds) -> Literal["yes", "no", "unsure"]:
    value, low, _ = share
    if value < SEES_FROM:
        return "no"
    return "yes" if low >= SEES_FROM else "unsure"
