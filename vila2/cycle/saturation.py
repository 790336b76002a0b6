"""Saturation: whether the last round still gained something, decided by the interval of its gain.

The paper stops after three rounds, where its figures no longer rise. Here both rounds are measured on the
same items. So what makes an item hard for both does not count:

    saturated   the whole interval of the gain lies below delta
    improving   it does not, and it lies above zero
    undecided   it reaches from zero or less to delta or more: these items cannot tell
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from vila2.errors import DataError
from vila2.evaluate.measures.intervals import Interval, paired_ratio_bootstrap
from vila2.evaluate.measures.items import Items

Answer = Literal["saturated", "improving", "undecided"]


@dataclass(frozen=True, slots=True)
class Gain:
    """The gain of a round over the one before it.

    Attributes:
        measure: name of the measure.
        gain: points gained (hundredths of the measure).
        low, high: ends of its paired 95% interval.
        delta: points; a smaller gain counts as none.
        answer: whether to go on; see the top of this file.
        items: number of items measured.
        items_needed: number of items that would have decided, where the answer is "undecided": with so many,
            the interval is as narrow as delta.
    """

    measure: str
    gain: float
    low: float
    high: float
    delta: float
    answer: Answer
    items: int
    items_needed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the gain as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        gained = (
            f"{self.answer} at {self.delta} points: {self.gain:+.1f} points of {self.measure} "
            f"(95% {self.low:+.1f} to {self.high:+.1f})"
        )
        if self.items_needed is None:
            return gained
        return f"{gained}; {self.items:,} items, about {self.items_needed:,} would decide"


def gain_of(before: Items, after: Items, *, measure: str, delta: float, seed: int) -> Gain:
    """Measures the gain of a round.

    Args:
        before: item scores of the round before.
        after: item scores of this round, for the same items.
        measure: name of the measure.
        delta: points; a smaller gain counts as none.
        seed: seed of the bootstrap.

    Raises:
        DataError: the items differ, nothing was measured, or more of the measure is not better.
    """
    if before.keys != after.keys:
        raise DataError(
            f"{measure}: two rounds were measured on different items", hint="give it a fixed dataset"
        )
    check_measure(before, measure, "the round before")
    check_measure(after, measure, "this round")
    found = paired_ratio_bootstrap(
        (before.numerators, before.denominators), (after.numerators, after.denominators), seed=seed
    )
    points = Interval(*(100 * value for value in found))
    answer = judge(points, delta)
    needed = None
    if answer == "undecided":
        needed = math.ceil(len(after.keys) * ((points.high - points.low) / delta) ** 2)
    return Gain(measure, *points, delta, answer, len(after.keys), needed)


def check_measure(items: Items, measure: str, where: str) -> None:
    """Checks that a measure can say when to stop.

    Args:
        items: item scores.
        measure: name of the measure.
        where: model that was measured, for errors.

    Raises:
        DataError: more of it is not better, or nothing was measured.
    """
    if items.higher_is_better is not True:
        raise DataError(
            f"{measure}: more of it is not better, so it cannot say when to stop",
            hint="name another measure under cycle.saturation",
        )
    if items.value is None:
        raise DataError(
            f"{measure}: there was nothing to measure in {where}",
            hint="name another measure under cycle.saturation, or measure more samples",
        )


def judge(gain: Interval, delta: float) -> Answer:
    """Decides from the interval of a gain and delta, both in points."""
    if gain.high < delta:
        return "saturated"
    return "improving" if gain.low > 0 else "undecided"


def best_round(values: Sequence[float]) -> int:
    """Returns the number of the round with the highest value; of equals the first, which cost least."""
    return max(range(len(values)), key=lambda number: (values[number], -number))
