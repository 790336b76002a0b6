"""How much of a dataset a mixture takes: passes, a number of samples, or a share that no other shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vila2.data.chance import drawn
from vila2.errors import DataError

_ALL = 2**64


def select_share(key: str, share: float, seed: int) -> bool:
    """Whether a key belongs to a share of all keys; the same on every machine, and whatever the other keys are.

    A larger share holds every smaller one of the same seed.

    Args:
        key: of a sample.
        share: 0 (none) to 1 (all).
        seed: another seed gives another, independent choice.
    """
    return _place(key, seed) < _bound(share)


def select_range(key: str, low: float, high: float, seed: int) -> bool:
    """Whether a key lies in a range of all keys, 0 to 1: in the share ``high`` and not in the share ``low``."""
    return _bound(low) <= _place(key, seed) < _bound(high)


def _place(key: str, seed: int) -> int:
    """A key's place among all keys, 0 to 2**64 - 1."""
    return drawn(seed, key, by="blake2b")


def _bound(share: float) -> int:
    return math.ceil(share * 2.0**64)


@dataclass(frozen=True, slots=True)
class Portion:
    """How much of a dataset a mixture takes. Which samples, is decided by hash of key and seed.

    Attributes:
        weight: passes: 2 gives every sample twice, 0.5 a fixed half, 1.5 every sample once and half of them
            again.
        count: samples at most, in place of a weight; a larger count holds every smaller one.
        select: only the samples from-to on a scale of 0 to 1; ranges that do not overlap share no sample.
            Weight and count are of these.

    Raises:
        DataError: a weight that is negative or not finite, a count below 1, or a range that is none.
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

    def numbers(self, size: int, keys: Callable[[], Sequence[str]], seed: int) -> np.ndarray:
        """The numbers of the samples taken, int64, ascending in each pass.

        Args:
            size: of the dataset.
            keys: of all its samples, in order; read only where they decide.
            seed: of the choice.
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


def _within(places: np.ndarray, low: float, high: float) -> np.ndarray:
    below = _bound(high)
    if below == 0:
        return np.zeros(len(places), dtype=bool)
    return (places >= np.uint64(_bound(low))) & (places <= np.uint64(min(below, _ALL) - 1))
