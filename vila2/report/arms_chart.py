"""A study as a picture: a panel for every measure, in it a row for every arm with its mean, its interval and its seeds."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vila2.report.axis import Axis, make_axis
from vila2.report.numbers import unit_label
from vila2.report.templates import filled

WIDTH = 1080.0
ROW_HEIGHT = 26.0
_GAP, _TOP, _BOTTOM = 40.0, 52.0, 24.0
_LETTER = 6.6  # pixels that a letter takes, or less
_LONGEST = 48  # letters of a label


@dataclass(frozen=True, slots=True)
class Mark:
    """One arm in one panel, in pixels; ``seeds`` has a dot for every seed where there are several."""

    y: float
    mean: float
    low: float
    high: float
    seeds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ArmsPanel:
    """One measure.

    Attributes:
        heading: its name, in lines.
        remark: its unit, and that lower is better where it is.
        axis: of its values.
        origin: pixel of the first arm's mean, which the others are read against.
        marks: of all arms, in their order.
    """

    heading: tuple[str, ...]
    remark: str
    axis: Axis
    origin: float
    marks: tuple[Mark, ...]


def arms_panels(study: Mapping[str, Any]) -> tuple[ArmsPanel, ...]:
    """The panels of a study, as :func:`vila2.cycle.reproduce.reproduce` gives it in ``results``."""
    left = _names_end(study) + _GAP / 2
    room = (WIDTH - left) / len(study["measures"])
    return tuple(
        _panel(
            heading,
            [arm["cells"][measure] for arm in study["arms"]],
            left + number * room,
            left + (number + 1) * room - _GAP,
        )
        for number, (measure, heading) in enumerate(study["measures"].items())
    )


def arms_svg(study: Mapping[str, Any]) -> str:
    """The picture of a study, an SVG document that needs nothing around it."""
    labels = [textwrap.shorten(arm["label"], _LONGEST, placeholder="…") for arm in study["arms"]]
    bottom = _TOP + ROW_HEIGHT * len(labels)
    return filled(
        "arms.jinja",
        title=study["title"],
        panels=arms_panels(study),
        rows=[(_middle(row), label) for row, label in enumerate(labels)],
        size=(WIDTH, bottom + _BOTTOM),
        top=_TOP,
        bottom=bottom,
        names_end=_names_end(study),
    )


def _middle(row: int) -> float:
    return _TOP + ROW_HEIGHT * (row + 0.5)


def _names_end(study: Mapping[str, Any]) -> float:
    return _LETTER * max(min(len(arm["label"]), _LONGEST) for arm in study["arms"])


def _panel(heading: str, cells: list[Mapping[str, Any]], start: float, end: float) -> ArmsPanel:
    unit = cells[0]["unit"]
    scale = 100.0 if unit == "share" else 1.0
    lowest, highest = _reach(cells)
    axis = make_axis(scale * lowest, scale * highest, start, end, wanted=3)

    def pixel(value: float) -> float:
        # An interval may reach beyond what is drawn; it is cut at the frame.
        return min(max(axis.pixel(scale * value), start), end)

    marks = tuple(
        Mark(
            _middle(row),
            pixel(cell["value"]),
            pixel(cell["low"]),
            pixel(cell["high"]),
            tuple(map(pixel, cell.get("seeds", ()))),
        )
        for row, cell in enumerate(cells)
    )
    lower = "lower is better" if cells[0].get("higher_is_better") is False else ""
    return ArmsPanel(
        tuple(textwrap.wrap(heading, max(8, int((end - start + _GAP / 2) / _LETTER)))[:2]),
        ", ".join(filter(None, (unit_label(unit), lower))),
        axis,
        marks[0].mean,
        marks,
    )


def _reach(cells: Iterable[Mapping[str, Any]]) -> tuple[float, float]:
    """From the least to the greatest value, and of the intervals what does not dwarf them."""
    values = [value for cell in cells for value in (cell["value"], *cell.get("seeds", ()))]
    low, high = min(values), max(values)
    room = (high - low) / 2 or abs(high) or 1.0
    ends = [end for cell in cells for end in (cell["low"], cell["high"])]
    return max(low - room, min(low, *ends)), min(high + room, max(high, *ends))
