"""Kendall's rank correlation of scores with ratings, by which caption scorers are compared with people."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from vila2.errors import DataError


def kendall_tau(scores: Sequence[float], ratings: Sequence[float], variant: str = "c") -> float:
    """Computes Kendall's tau, -1..1: concordant minus discordant pairs, out of all possible ones.

    Args:
        scores: scores, one per item.
        ratings: ratings, one per item, with few different values (a scale of grades); the time grows with the
            square of their number.
        variant: "c" (Stuart; usual for captions, where scores have many values and ratings few) or "b" (ties
            of either side are taken out of the possible pairs).

    Raises:
        DataError: the lengths differ, or the ratings, or for "b" the scores, are all alike.
    """
    found, given = np.asarray(scores, dtype=np.float64), np.asarray(ratings, dtype=np.float64)
    if len(found) != len(given):
        raise DataError(f"{len(found)} scores but {len(given)} ratings", hint="give one of each per item")
    levels, counts = np.unique(given, return_counts=True)
    kinds, ties = np.unique(found, return_counts=True)
    if len(levels) < 2 or len(kinds) < 2:
        raise DataError("all scores or all ratings are alike", hint="rate items of different quality")
    by_level = [np.sort(found[given == level]) for level in levels]
    difference = 0
    for low, high in combinations(by_level, 2):
        above = np.searchsorted(low, high, "left").sum()  # pairs in which the better rated scores higher
        difference += int(above) - int((len(low) - np.searchsorted(low, high, "right")).sum())
    n = len(found)
    if variant == "c":
        fewer = min(len(levels), len(kinds))
        return 2 * difference / (n * n * (fewer - 1) / fewer)
    pairs = n * (n - 1) / 2
    apart = (pairs - (counts * (counts - 1) / 2).sum()) * (pairs - (ties * (ties - 1) / 2).sum())
    return float(difference / apart**0.5)
