"""Regressions over resampled images: weights of rows, equal rows joined, and Newton's method for all resamples at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from vila2.evaluate.measures.intervals import Interval, ratio_bootstrap

RESAMPLES = 1000
LEVEL = 0.95
#: A normal prior of mean 0 and variance 100 on every coefficient: keeps estimates finite where one side wins all.
PRIOR = 0.01
_LARGEST_STEP = 1.0
_STEPS = 200
_TOLERANCE = 1e-9

#: Gradient [resamples, size] and negative Hessian [resamples, size, size] at coefficients [resamples, size].
Slopes = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def row_weights(images: Sequence[str], *, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """How often each row counts, [1 + resamples, rows]: once in the first line, then as its image is drawn.

    Images are drawn with replacement, all rows of an image together, since they are not independent.

    Args:
        images: the image of each row.
        seed, resamples: of the bootstrap.
    """
    _, image_of = np.unique(np.asarray(images), return_inverse=True)
    count = int(image_of.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.vstack([np.ones((1, len(image_of))), drawn[:, image_of]])


def joined(rows: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equal rows as one, with their weights added up: there are few different ones.

    Args:
        rows: [rows, columns].
        weights: [resamples, rows].
    """
    different, place = np.unique(rows, axis=0, return_inverse=True)
    place = place.reshape(-1)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(different)))
    return different, np.add.reduceat(weights[:, order], starts, axis=1)


def maximize(slopes: Slopes, resamples: int, size: int) -> np.ndarray:
    """The coefficients, [resamples, size], that maximize a concave log-likelihood with :data:`PRIOR`.

    Newton's method from zero, in steps of at most 1 in any coefficient, which keeps it from overshooting.
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


def interval(values: np.ndarray) -> Interval:
    """The estimate, which comes first, with the percentile interval of the resamples after it."""
    low, high = np.quantile(values[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values[0]), float(low), float(high))


def share_interval(values: Sequence[float], images: Sequence[str], *, seed: int) -> Interval:
    """The mean of values in 0..1 with its interval, of a bootstrap that draws images whole.

    Where all of them are 0, or all 1, resampling shows no spread however few they are; there the exact binomial
    (Clopper-Pearson) bound of so many images stands in.

    Args:
        values: one or more.
        images: the image of each.
        seed: of the bootstrap.
    """
    _, image_of = np.unique(np.asarray(images), return_inverse=True)
    sums, counts = np.bincount(image_of, np.asarray(values, dtype=np.float64)), np.bincount(image_of)
    found = ratio_bootstrap(sums, counts, seed=seed, resamples=RESAMPLES, level=LEVEL)
    bound = ((1 - LEVEL) / 2) ** (1 / len(counts))
    if found.value == 1:
        return Interval(1.0, bound, 1.0)
    if found.value == 0:
        return Interval(0.0, 0.0, 1 - bound)
    return found


def sign_test(won: int, lost: int) -> float:
    """How likely a coin would part as unevenly as this (two-sided, exact), in 0..1."""
    total = won + lost
    ways = sum(math.comb(total, k) for k in range(min(won, lost) + 1))
    return min(1.0, 2 * ways / 2**total)
