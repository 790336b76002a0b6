"""Ticks of a chart's axis at round numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis from values to pixels.

    Attributes:
        low, high: values at its ends.
        start, end: pixels at its ends (``end`` lies above ``start`` on an axis that points up).
        ticks: (pixel, label) at round numbers.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[tuple[float, str], ...]

    def pixel(self, value: float) -> float:
        """Where a value lies, in tenths of a pixel."""
        return _pixel(value, self.low, self.high, self.start, self.end)


def make_axis(
    low: float, high: float, start: float, end: float, *, wanted: int = 4, whole: bool = False
) -> Axis:
    """An axis from low to high. It ends on ticks; one of whole numbers ends at low and high.

    Args:
        low, high: smallest and largest value; may be equal.
        start, end: pixels of its ends.
        wanted: approximate number of ticks.
        whole: whether the values are whole numbers (steps), so that ticks must be too.
    """
    if high - low <= max(1e-6 * max(abs(low), abs(high)), 1e-12):  # no ticks could tell them apart
        high = low + max(abs(low), 1.0)
    step = _round_step((high - low) / max(1, wanted))
    if whole:
        step = max(1.0, step)
    if whole:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    else:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        low, high = first * step, last * step
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    values = [number * step for number in range(first, last + 1)]
    ticks = tuple((_pixel(v, low, high, start, end), f"{v:,.{decimals}f}".replace("-", "−")) for v in values)
    return Axis(low, high, start, end, ticks)


def _pixel(value: float, low: float, high: float, start: float, end: float) -> float:
    return round(start + (value - low) / (high - low) * (end - start), 1)


def _round_step(rough: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, ... that is not below a rough step."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(size * power for size in (1, 2, 5, 10) if size * power >= rough * (1 - 1e-9))
