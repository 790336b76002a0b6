"""What the votes amount to: win rates raw and at equal length, strengths, and how far the judge can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from vila2.judge.bradley_terry import strengths
from vila2.judge.length_control import can_control, controlled_rate, overlap, scaled
from vila2.judge.pairs import Pair
from vila2.judge.resampling import LEVEL, interval, row_weights, share_interval, sign_test
from vila2.judge.votes import SCORED, Vote, VoteOutcome, decide, kinds

#: Below this share of right checks a judge cannot see; one that guesses gets half of them.
SEES_FROM = 0.6
#: Shares of a few pairs say nothing.
_FEWEST = 2


def judge_results(
    pairs: Sequence[Pair],
    checks: Sequence[Pair],
    votes_on: Callable[[str], tuple[Vote, ...]],
    layers: Sequence[str],
    *,
    seed: int,
) -> dict[str, Any]:
    """All statistics, JSON-able; an interval is [value, low, high] of 95%, or None where nothing was measured.

    Args:
        pairs, checks: as chosen.
        votes_on: the votes on a pair by its id.
        layers: in the order in which they are shown; the first is what strengths are relative to.
        seed: of the bootstrap, which draws images.

    Returns:
        ``pairs`` (how many ended how), ``matches`` (one per pair of layers), ``strengths`` (one per layer),
        ``trust`` (the judge over the two orders) and ``check``.
    """
    outcomes = [decide(pair, votes_on(pair.id)) for pair in pairs]
    checked = [decide(pair, votes_on(pair.id)) for pair in checks]
    scored = [outcome for outcome in outcomes if outcome.kind in SCORED]
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
    """Words of the second text less those of the first."""
    first, second = (len(text.split()) for text in pair.texts)
    return second - first


def _match(two: tuple[str, str], outcomes: Sequence[VoteOutcome], seed: int) -> dict[str, Any]:
    scored = [outcome for outcome in outcomes if outcome.score is not None]
    scores = [outcome.score for outcome in scored]
    differences = [word_difference(outcome.pair) for outcome in scored]
    match: dict[str, Any] = {
        "first": two[0],
        "second": two[1],
        "kinds": kinds(outcomes),
        "scored": len(scored),
        "won": scores.count(1.0),
        "lost": scores.count(0.0),
        "preferred": None,
        "words": [_mean_words(scored, side) for side in (0, 1)],
        "win_rate": None,
        "can_control": False,
        "longer_share": overlap(differences) if scored else None,
        "controlled": None,
    }
    if len(scored) < _FEWEST:
        return match
    images = [outcome.pair.key for outcome in scored]
    match["win_rate"] = list(share_interval(scores, images, seed=seed))
    match["preferred"] = _preferred(match)
    match["can_control"] = can_control(differences)
    if match["can_control"] and set(scores) in ({0.0}, {1.0}):
        match["controlled"] = match["win_rate"]  # won, or lost, at every difference in length
    elif match["can_control"]:
        weights = row_weights(images, seed=seed)
        rates = controlled_rate(scores, scaled(differences), weights)
        match["controlled"] = list(interval(rates))
    return match


def _preferred(match: dict[str, Any]) -> str | None:
    """The layer that is preferred beyond chance: by the interval, and by a sign test, which few pairs do not fool."""
    _, low, high = match["win_rate"]
    if low <= 0.5 <= high or sign_test(match["won"], match["lost"]) > 1 - LEVEL:
        return None
    return match["second"] if low > 0.5 else match["first"]


def _mean_words(outcomes: Sequence[VoteOutcome], side: int) -> float | None:
    counts = [len(outcome.pair.texts[side].split()) for outcome in outcomes]
    return float(np.mean(counts)) if counts else None


def _strengths(
    scored: Sequence[VoteOutcome], layers: Sequence[str], can_control: Sequence[bool], seed: int
) -> list[dict[str, Any]]:
    """Raw strengths, and those at equal length where every two layers allow it."""
    if len(scored) < _FEWEST:
        return []
    numbers = {layer: number for number, layer in enumerate(layers)}
    first, second = ([numbers[outcome.pair.layers[side]] for outcome in scored] for side in (0, 1))
    scores = [outcome.score for outcome in scored]
    weights = row_weights([outcome.pair.key for outcome in scored], seed=seed)
    raw = strengths(first, second, scores, weights, layers=len(layers))
    controlled = None
    if all(can_control):
        length = scaled([word_difference(outcome.pair) for outcome in scored])
        controlled = strengths(first, second, scores, weights, layers=len(layers), length=length)
    rows, compared = [], _connected(scored, layers[0])
    for layer, number in numbers.items():
        found = [
            None if fits is None or layer not in compared else list(interval(fits[:, number]))
            for fits in (raw, controlled)
        ]
        if number and _all_alike(scored, layer):
            found = [fit and [fit[0], None, None] for fit in found]
        rows.append({"layer": layer, "strength": found[0], "controlled": found[1]})
    return rows


def _connected(scored: Sequence[VoteOutcome], layer: str) -> set[str]:
    """The layers that a chain of comparisons joins with this one: of the others nothing is known."""
    two = {outcome.pair.layers for outcome in scored}
    known: set[str] = {name for names in two for name in names if name == layer}
    while more := {name for names in two if known & set(names) for name in names} - known:
        known |= more
    return known


def _all_alike(scored: Sequence[VoteOutcome], layer: str) -> bool:
    """Whether a layer won all, or lost all: its strength has no end, and resampling shows no spread."""
    own = {o.score if o.pair.layers[1] == layer else 1 - o.score for o in scored if layer in o.pair.layers}
    return len(own) < 2


def _trust(outcomes: Sequence[VoteOutcome], seed: int) -> dict[str, Any]:
    """How the judge agrees with itself over the two orders, and whether it favours what is shown first."""
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


def _share(rows: Sequence[tuple[str, float]], seed: int) -> list[float] | None:
    """The mean over rows of (image, value), with its interval; None where there are none."""
    if not rows:
        return None
    images, values = zip(*rows, strict=True)
    return list(share_interval(values, images, seed=seed))


def _check(checked: Sequence[VoteOutcome], seed: int) -> dict[str, Any]:
    """The share of checks in which the image's own text won, ties half: a judge that guesses gets half."""
    right = [(o.pair.key, 1 - o.score) for o in checked if o.score is not None]
    found: dict[str, Any] = {"count": len(checked), "scored": len(right), "kinds": kinds(checked)}
    share, sees = _share(right, seed), None
    if share is not None:
        value, low, _ = share
        sees = "no" if value < SEES_FROM else "yes" if low >= SEES_FROM else "unsure"
    return found | {"right": share, "sees": sees}
