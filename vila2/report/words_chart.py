"""Words per caption by layer: bars with a whisker of one standard deviation (paper: Table 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vila2.report.axis import Axis, make_axis
from vila2.report.results_page import LayerResult

WIDTH = 500.0
ROW_HEIGHT = 30.0
_LEFT, _RIGHT = 118.0, 96.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One layer: pixels of its bar and whisker, and its label."""

    name: str
    label: str
    y: float
    end: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class WordsChart:
    """All layers under one axis."""

    axis: Axis
    bars: tuple[Bar, ...]
    height: float


def words_chart(layers: Sequence[LayerResult]) -> WordsChart | None:
    """The chart, or None where no layer has words to count."""
    counted = [layer for layer in layers if layer.words_mean is not None]
    if not counted:
        return None
    largest = max((layer.words_mean or 0.0) + (layer.words_sd or 0.0) for layer in counted)
    axis = make_axis(0, largest, _LEFT, WIDTH - _RIGHT, wanted=5)
    bars = []
    for row, layer in enumerate(counted):
        mean, sd = layer.words_mean or 0.0, layer.words_sd or 0.0
        # No caption has fewer than no words, so the lower whisker ends there.
        bars.append(
            Bar(
                _shortened(layer.name),
                f"{mean:.1f} ± {sd:.1f}",
                ROW_HEIGHT * row + ROW_HEIGHT / 2,
                axis.pixel(mean),
                axis.pixel(max(0.0, mean - sd)),
                axis.pixel(mean + sd),
            )
        )
    return WordsChart(axis, tuple(bars), ROW_HEIGHT * len(counted))


def _shortened(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:15]}…"
