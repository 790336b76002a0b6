"""Regressions over resampled images: weights of rows, and Newton's method for all resamples at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from vila2.evaluate.measures.intervals import Floats, Interval, ratio_bootstrap

RESAMPLES = 1000
LEVEL = 0.95
#: Precision of the normal prior on every coefficient (mean 0, variance 100), which keeps estimates finite
#: where one side wins all.
PRIOR = 0.01
_LARGEST_STEP = 1.0
_STEPS = 200
_TOLERANCE = 1e-9

#: Computes the gradient, [resamples, size], and the negative Hessian, [resamples, size, size], at
#: coefficients [resamples, size].
Slopes = Callable[[Floats], tuple[Floats, Floats]]


def row_weights(images: Sequence[str], *, seed: int, resamples: int = RESAMPLES) -> Floats:
    """Draws how often each row counts, [1 + resamples, rows]; in the first line every row counts once.

    Images are drawn with replacement, with all rows of an image together, since they are not independent.

    Args:
        images: image of each row.
        seed: seed of the bootstrap.
        resamples: number of times that the images are drawn anew.
    """
    _, image_of = np.unique(np.asarray(images), return_inverse=True)
    count = int(image_of.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.vstack([np.ones((1, len(image_of))), drawn[:, image_of]])


def joined(rows: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Joins equal rows into one, and adds up their weights; few rows are different.

    Args:
        rows: rows, [rows, columns].
        weights: weights of the rows, [resamples, rows].
    """
    different, place = np.unique(rows, axis=0, return_inverse=True)
    place = place.reshape(-1)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(different)))
    return different, np.add.reduceat(weights[:, order], starts, axis=1)


def maximize(slopes: Slopes, resamples: int, size: int) -> Floats:
    """Maximizes a concave log-likelihood with :data:`PRIOR`, for all resamples at once.

    Newton's method starts from zero. Its steps are at most 1 in any coefficient, so that it does not
    overshoot.

    Args:
        slopes: function that computes the derivatives of the log-likelihood.
        resamples: number of resamples.
        size: number of coefficients.

    Returns:
        The coefficients, [resamples, size].
    """
    found = np.zeros((resamples, size))
    for _ in range(_STEPS):
        gradient, curvature = slopes(found)
        gradient = gradient - PRIOR * found
        curvature = curvature + PRIOR * np.eye(size)
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        largest = np.abs(step).max(axis=1, keepdims=True)
        found = found + step * np.minimum(1, _LARGEST_STEP / np.maximum(largest, 1e-12))
        if largest.max() < _TOLERANCE:
            break
    return found


def interval(values: Floats) -> Interval:
    """Makes an interval of the estimate, which is the first value, and of the resamples after it."""
    low, high = np.quantile(values[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values[0]), float(low), float(high))


def share_interval(values: Sequence[float], images: Sequence[str], *, seed: int) -> Interval:
    """Computes the mean of values in 0..1 with its interval, by a bootstrap that draws images whole.

    Where all values are 0, or all are 1, resampling shows no spread, however few they are. There the interval
    is the exact binomial (Clopper-Pearson) one for the number of images.

    Args:
        values: values, one or more.
        images: image of each value.
        seed: seed of the bootstrap.
    """
    _, image_of = np.unique(np.asarray(images), return_inverse=True)
    sums, counts = np.bincount(image_of, np.asarray(values, dtype=np.float64)), np.bincount(image_of)
    found = ratio_bootstrap(sums.tolist(), counts.tolist(), seed=seed, resamples=RESAMPLES, level=LEVEL)
    bound = ((1 - LEVEL) / 2) ** (1 / len(counts))
    if found.value == 1:
        return Interval(1.0, bound, 1.0)
    if found.value == 0:
        return Interval(0.0, 0.0, 1 - bound)
    return found


def sign_test(won: int, lost: int) -> float:
    """Computes how likely a coin would fall as unevenly as this (two-sided, exact), in 0..1."""
    total = won + lost
    ways = sum(math.comb(total, k) for k in range(min(won, lost) + 1))
    likelihood: float = 2 * ways / 2**total
    return min(1.0, likelihood)
