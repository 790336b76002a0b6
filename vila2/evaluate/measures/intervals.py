"""Measures with confidence intervals, from a bootstrap over items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vila2.errors import DataError

_DRAWS_AT_ONCE = 4_000_000  # bounds the memory of a bootstrap over many items


class Interval(NamedTuple):
    """A value and the ends of its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of a report.

    Attributes:
        name: what is measured.
        value: over all items.
        low, high: ends of the confidence interval.
        count: items.
        unit: "share", "words", "score" or the like.
    """

    name: str
    value: float
    low: float
    high: float
    count: int
    unit: str = ""


def bootstrap(values: Sequence[float], *, seed: int, resamples: int = 2000, level: float = 0.95) -> Interval:
    """The mean of the items' values with its percentile interval.

    Args:
        values: one per item.
        seed: of the resampling.
        resamples: how many times the items are drawn anew, with replacement.
        level: share of the resampled means that the interval holds.

    Raises:
        DataError: no values, or one that is no finite number.
    """
    return ratio_bootstrap(values, np.ones(len(values)), seed=seed, resamples=resamples, level=level)


def paired_bootstrap(
    a: Sequence[float], b: Sequence[float], *, seed: int, resamples: int = 2000, level: float = 0.95
) -> Interval:
    """The mean of b - a over the same items, with its interval.

    Pairing takes out what makes an item hard for both, so the interval is narrower than that of two
    separate means; b is better than a at this level where the interval lies above 0.

    Raises:
        DataError: a and b differ in length, are empty, or hold a value that is no finite number.
    """
    if len(a) != len(b):
        raise DataError(
            f"{len(a)} and {len(b)} values can not be paired", hint="score both on the same items"
        )
    difference = np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64)
    return bootstrap(difference, seed=seed, resamples=resamples, level=level)


def ratio_bootstrap(
    numerators: Sequence[float],
    denominators: Sequence[float],
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """sum(numerators) / sum(denominators) with its interval, e.g. precision: correct out of mentioned.

    Items are resampled whole, since the statements of one caption are not independent.

    Args:
        numerators: one per item.
        denominators: one per item, 0 or more.
        seed, resamples, level: as of :func:`bootstrap`.

    Returns:
        The ratio; all zeros where the denominators sum to 0, that is where nothing was measured.

    Raises:
        DataError: the lengths differ, there are no items, or a value is no finite number.
    """
    top, bottom = _items(numerators, denominators)
    if bottom.sum() == 0:
        return Interval(0.0, 0.0, 0.0)
    ratios = _resampled_ratios(top, bottom, seed, resamples)
    low, high = np.nanquantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return Interval(_ratio(top, bottom), float(low), float(high))


def paired_ratio_bootstrap(
    a: tuple[Sequence[float], Sequence[float]],
    b: tuple[Sequence[float], Sequence[float]],
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """The ratio of b minus the ratio of a over the same items, with its interval.

    Args:
        a, b: numerators and denominators, as of :func:`ratio_bootstrap`, the same items in the same order.
        seed, resamples, level: as of :func:`bootstrap`.

    Raises:
        DataError: the numbers of items differ, or as :func:`ratio_bootstrap` raises.
    """
    if len(a[0]) != len(b[0]):
        raise DataError(
            f"{len(a[0])} and {len(b[0])} items can not be paired", hint="score both on the same items"
        )
    before, after = _items(*a), _items(*b)
    difference = _ratio(*after) - _ratio(*before)
    # One seed draws the same items for both.
    differences = _resampled_ratios(*after, seed, resamples) - _resampled_ratios(*before, seed, resamples)
    if np.isnan(differences).all():  # one of the two measured nothing
        return Interval(difference, difference, difference)
    low, high = np.nanquantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return Interval(difference, float(low), float(high))


#: Student's t at 97.5%, by degrees of freedom from 1 to 30.
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


def over_seeds(values: Sequence[float]) -> Interval:
    """The mean over trainings with different seeds and its 95% interval by Student's t.

    It holds what differs from training to training, which resampling one training's items does not.

    Args:
        values: one per seed, at least two.

    Raises:
        DataError: fewer than two values, or one that is no finite number.
    """
    array = _checked(values, "values")
    if len(array) < 2:
        raise DataError("one seed tells nothing of the next", hint="train with at least two seeds")
    t = _T[min(len(array) - 1, len(_T)) - 1]
    half = t * float(array.std(ddof=1)) / len(array) ** 0.5
    mean = float(array.mean())
    return Interval(mean, mean - half, mean + half)


def _resampled_ratios(top: np.ndarray, bottom: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """The ratio of each resample, [resamples]; NaN for a draw in which nothing was measured."""
    random = np.random.default_rng(seed)
    ratios = []
    rows = max(1, _DRAWS_AT_ONCE // len(top))
    for start in range(0, resamples, rows):
        drawn = random.integers(0, len(top), size=(min(rows, resamples - start), len(top)))
        sums, weights = top[drawn].sum(axis=1), bottom[drawn].sum(axis=1)
        ratios.append(np.divide(sums, weights, out=np.full(len(sums), np.nan), where=weights > 0))
    return np.concatenate(ratios)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> float:
    return float(top.sum() / bottom.sum()) if bottom.sum() else 0.0


def _items(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 [items], after checking them."""
    top, bottom = _checked(numerators, "numerators"), _checked(denominators, "denominators")
    if len(top) != len(bottom):
        raise DataError(
            f"{len(top)} numerators but {len(bottom)} denominators", hint="give one of each per item"
        )
    if (bottom < 0).any():
        raise DataError("a denominator is below 0", hint="give counts")
    return top, bottom


def _checked(values: Sequence[float], name: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        raise DataError(f"no {name} to take an interval of", hint="score at least one item")
    if not np.isfinite(array).all():
        raise DataError(f"one of the {name} is no finite number", hint="leave unscored items out")
    return array
