"""Portions: how much of a dataset a mixture takes, and which samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vila2.data.chance import drawn
from vila2.errors import DataError

_ALL = 2**64
Numbers = npt.NDArray[np.int64]


def select_share(key: str, share: float, seed: int) -> bool:
    """Whether a key belongs to a share of all keys.

    The answer is the same on every machine and does not depend on the other keys. A larger share contains
    every smaller one of the same seed.

    Args:
        key: key of a sample.
        share: size of the share, from 0 (none) to 1 (all).
        seed: seed of the choice; different seeds choose independently.
    """
    return _place(key, seed) < _bound(share)


def select_range(key: str, low: float, high: float, seed: int) -> bool:
    """Whether a key lies in a range of all keys: in the share ``high`` and not in the share ``low``."""
    return _bound(low) <= _place(key, seed) < _bound(high)


def _place(key: str, seed: int) -> int:
    """Computes a key's place among all keys, 0 to 2**64 - 1."""
    return drawn(seed, key, by="blake2b")


def _bound(share: float) -> int:
    return math.ceil(share * 2.0**64)


@dataclass(frozen=True, slots=True)
class Portion:
    """How much of a dataset a mixture takes. A hash of key and seed decides which samples these are.

    Attributes:
        weight: number of passes: 2 gives every sample twice, 0.5 gives a fixed half, 1.5 gives every sample
            once and half of them again.
        count: largest number of samples, in place of a weight; a larger count contains every smaller one.
        select: range of samples that weight and count apply to, within 0..1; ranges that do not overlap share
            no sample.

    Raises:
        DataError: the weight is negative or not finite, the count is below 1, or the range is empty.
    """

    weight: float = 1.0
    count: int | None = None
    select: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise DataError(f"weight {self.weight}", hint="use a number >= 0")
        if self.count is not None and self.count < 1:
            raise DataError(f"count {self.count}", hint="use a number >= 1")
        if not 0 <= self.select[0] < self.select[1] <= 1:
            raise DataError(f"select {list(self.select)}", hint="write [from, to] with 0 <= from < to <= 1")

    def numbers(self, size: int, keys: Callable[[], Sequence[str]], seed: int) -> Numbers:
        """Chooses samples.

        Args:
            size: number of samples in the dataset.
            keys: function that gives the keys of all samples, in order; called only where keys decide.
            seed: seed of the choice.

        Returns:
            The numbers of the chosen samples, ascending in each pass.
        """
        everyone = np.arange(size, dtype=np.int64)
        whole = self.count is None and self.weight == int(self.weight)
        if whole and self.select == (0.0, 1.0):
            return np.tile(everyone, int(self.weight))
        places = np.fromiter((_place(key, seed) for key in keys()), dtype=np.uint64, count=size)
        low, high = self.select
        inside = everyone[_within(places, low, high)]
        if self.count is not None:
            first = np.argsort(places[inside], kind="stable")[: self.count]
            return np.sort(inside[first])
        passes = int(self.weight)
        rest = everyone[_within(places, low, low + (self.weight - passes) * (high - low))]
        return np.concatenate([np.tile(inside, passes), rest])


def _within(places: npt.NDArray[np.uint64], low: float, high: float) -> npt.NDArray[np.bool_]:
    """Marks the places that lie in a range of all keys."""
    below = _bound(high)
    if below == 0:
        return np.zeros(len(places), dtype=bool)
    return (places >= np.uint64(_bound(low))) & (places <= np.uint64(min(below, _ALL) - 1))
