"""Confidence intervals: a bootstrap over items, and Student's t over trainings with different seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vila2.errors import DataError

Floats = NDArray[np.float64]
#: Numerators and denominators, one of each per item.
Ratios = tuple[Sequence[float], Sequence[float]]

_DRAWS_AT_ONCE = 4_000_000  # bounds the memory of a bootstrap over many items


class Interval(NamedTuple):
    """A value and the ends of its confidence interval."""

    value: float
    low: float
    high: float


def ratio_bootstrap(
    numerators: Sequence[float],
    denominators: Sequence[float],
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Computes sum(numerators) / sum(denominators) with its percentile interval.

    An example is precision: objects named correctly over objects named. With denominators of 1 it is a mean.
    Items are resampled whole, since the statements of one caption are not independent.

    Args:
        numerators: one value per item.
        denominators: one value per item, 0 or more.
        seed: seed of the resampling.
        resamples: number of times that the items are drawn anew, with replacement.
        level: share of the resampled ratios that the interval holds.

    Returns:
        The ratio with its interval; all zeros where the denominators sum to 0, so that nothing was measured.

    Raises:
        DataError: the lengths differ, there are no items, or a value is not a finite number.
    """
    top, bottom = _items(numerators, denominators)
    if bottom.sum() == 0:
        return Interval(0.0, 0.0, 0.0)
    ratios = _resampled_ratios(top, bottom, seed, resamples)
    low, high = np.nanquantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return Interval(_ratio(top, bottom), float(low), float(high))


def paired_ratio_bootstrap(
    a: Ratios, b: Ratios, *, seed: int, resamples: int = 2000, level: float = 0.95
) -> Interval:
    """Computes the ratio of ``b`` minus the ratio of ``a`` over the same items, with its interval.

    Pairing takes out what makes an item hard for both. So the interval is narrower than that of two separate
    ratios. ``b`` is better than ``a`` at this level where the interval lies above 0.

    Args:
        a: numerators and denominators of the first ratio.
        b: numerators and denominators of the second ratio, for the same items in the same order.
        seed: seed of the resampling.
        resamples: number of times that the items are drawn anew.
        level: share of the resampled differences that the interval holds.

    Raises:
        DataError: the numbers of items differ, there are no items, or a value is not a finite number.
    """
    if len(a[0]) != len(b[0]):
        raise DataError(
            f"{len(a[0])} and {len(b[0])} items cannot be paired", hint="score both on the same items"
        )
    before, after = _items(*a), _items(*b)
    difference = _ratio(*after) - _ratio(*before)
    # One seed draws the same items for both.
    differences = _resampled_ratios(*after, seed, resamples) - _resampled_ratios(*before, seed, resamples)
    if np.isnan(differences).all():  # one of the two measured nothing
        return Interval(difference, difference, difference)
    low, high = np.nanquantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return Interval(difference, float(low), float(high))


#: Quantiles of Student's t at 97.5%, by degrees of freedom from 1 to 30.
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


def over_seeds(values: Sequence[float]) -> Interval:
    """Computes the mean over trainings with different seeds and its 95% interval by Student's t.

    The interval holds what differs from training to training. Resampling the items of one training does not.

    Args:
        values: one value per seed, at least two.

    Raises:
        DataError: there are fewer than two values, or one is not a finite number.
    """
    array = _checked(values, "values")
    if len(array) < 2:
        raise DataError("one seed tells nothing of the next", hint="train with at least two seeds")
    t = _T[min(len(array) - 1, len(_T)) - 1]
    half = t * float(array.std(ddof=1)) / len(array) ** 0.5
    mean = float(array.mean())
    return Interval(mean, mean - half, mean + half)


def _resampled_ratios(top: Floats, bottom: Floats, seed: int, resamples: int) -> Floats:
    """The ratio of each resample, [resamples]; NaN for a draw in which nothing was measured."""
    random = np.random.default_rng(seed)
    ratios = []
    rows = max(1, _DRAWS_AT_ONCE // len(top))
    for start in range(0, resamples, rows):
        drawn = random.integers(0, len(top), size=(min(rows, resamples - start), len(top)))
        sums, weights = top[drawn].sum(axis=1), bottom[drawn].sum(axis=1)
        ratios.append(np.divide(sums, weights, out=np.full(len(sums), np.nan), where=weights > 0))
    return np.concatenate(ratios)


def _ratio(top: Floats, bottom: Floats) -> float:
    return float(top.sum() / bottom.sum()) if bottom.sum() else 0.0


def _items(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[Floats, Floats]:
    """Both as arrays [items], once they are checked."""
    top, bottom = _checked(numerators, "numerators"), _checked(denominators, "denominators")
    if len(top) != len(bottom):
        raise DataError(
            f"{len(top)} numerators but {len(bottom)} denominators", hint="give one of each per item"
        )
    if (bottom < 0).any():
        raise DataError("a denominator is below 0", hint="give counts")
    return top, bottom


def _checked(values: Sequence[float], name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        raise DataError(f"no {name} to take an interval of", hint="score at least one item")
    if not np.isfinite(array).all():
        raise DataError(f"one of the {name} is not a finite number", hint="leave unscored items out")
    return array
