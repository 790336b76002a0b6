"""A study as a picture.

Every measure has a panel, and in it every arm a row with its mean, its interval and its seeds.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from vila2.report.axis import Axis, make_axis
from vila2.report.numbers import places, unit_label, written
from vila2.report.study_results import CellResult, StudyResult
from vila2.report.templates import filled

WIDTH = 1080.0
ROW_HEIGHT = 26.0
#: Largest number of panels side by side; more go below, in bands of like length.
ABREAST = 5
_GAP, _TOP, _BOTTOM = 40.0, 52.0, 36.0
_LETTER = 6.9  # pixels that a letter takes, or less
_LONGEST = 48  # letters of a label


@dataclass(frozen=True, slots=True)
class ChartMark:
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
        heading: name of the measure, in lines.
        remark: unit, and "lower is better" where that holds.
        axis: axis of the values.
        top: pixel below the headings, where the rows begin.
        origin: pixel of the first arm's mean, to compare the others with; None where it has no mean.
        marks: marks of all arms, in order; None where there was nothing to measure.
    """

    heading: tuple[str, ...]
    remark: str
    axis: Axis
    top: float
    origin: float | None
    marks: tuple[ChartMark | None, ...]


def arms_panels(study: StudyResult) -> tuple[ArmsPanel, ...]:
    """The panels of a study from the ``results`` of :func:`vila2.studies.reproduce.reproduce`."""
    left = _names_end(study) + _GAP / 2
    measures = len(study["measures"])
    abreast = math.ceil(measures / math.ceil(measures / ABREAST))
    room = (WIDTH - left) / abreast
    panels = []
    for number, (measure, heading) in enumerate(study["measures"].items()):
        band, place = divmod(number, abreast)
        cells = [arm["cells"][measure] for arm in study["arms"]]
        top = _TOP + band * _band_height(study)
        panels.append(_panel(heading, cells, left + place * room, left + (place + 1) * room - _GAP, top))
    return tuple(panels)


def arms_svg(study: StudyResult) -> str:
    """The picture of a study: a complete SVG document."""
    panels = arms_panels(study)
    labels = [textwrap.shorten(arm["label"], _LONGEST, placeholder="…") for arm in study["arms"]]
    tops = list(dict.fromkeys(panel.top for panel in panels))
    return filled(
        "arms.jinja",
        title=study["title"],
        description=_description(study),
        panels=panels,
        rows=[(_middle(top, row), label) for top in tops for row, label in enumerate(labels)],
        size=(WIDTH, len(tops) * _band_height(study)),
        height=ROW_HEIGHT * len(labels),
        names_end=_names_end(study),
    )


def _description(study: StudyResult) -> str:
    """The picture in words: the value of every arm by measure."""
    lines = []
    for measure, heading in study["measures"].items():
        cells = [(arm["label"], arm["cells"][measure]) for arm in study["arms"]]
        decimals = places(cells[0][1]["unit"], [cell["value"] for _, cell in cells])
        values = [f"{label} {written(cell['value'], cell['unit'], decimals)}" for label, cell in cells]
        unit = unit_label(cells[0][1]["unit"])
        lines.append(f"{heading}{f' ({unit})' if unit else ''}: {', '.join(values)}.")
    return " ".join(lines)


def _band_height(study: StudyResult) -> float:
    return _TOP + ROW_HEIGHT * len(study["arms"]) + _BOTTOM


def _middle(top: float, row: int) -> float:
    return top + ROW_HEIGHT * (row + 0.5)


def _names_end(study: StudyResult) -> float:
    return _LETTER * max(min(len(arm["label"]), _LONGEST) for arm in study["arms"])


def _panel(heading: str, cells: Sequence[CellResult], start: float, end: float, top: float) -> ArmsPanel:
    unit = cells[0]["unit"]
    scale = 100.0 if unit == "share" else 1.0
    lowest, highest = _reach([cell for cell in cells if cell["value"] is not None])
    axis = make_axis(scale * lowest, scale * highest, start, end, wanted=3)

    def pixel(value: float) -> float:
        # An interval may reach beyond what is drawn; it is cut at the frame.
        return min(max(axis.pixel(scale * value), start), end)

    def mark(row: int, cell: CellResult) -> ChartMark | None:
        value, low, high = cell["value"], cell["low"], cell["high"]
        if value is None or low is None or high is None:
            return None
        seeds = tuple(map(pixel, cell.get("seeds", ())))
        return ChartMark(_middle(top, row), pixel(value), pixel(low), pixel(high), seeds)

    marks = tuple(mark(row, cell) for row, cell in enumerate(cells))
    lower = "lower is better" if cells[0].get("higher_is_better") is False else ""
    return ArmsPanel(
        tuple(textwrap.wrap(heading, max(8, int((end - start + _GAP / 2) / _LETTER)))[:2]),
        ", ".join(filter(None, (unit_label(unit), lower))),
        axis,
        top,
        marks[0].mean if marks[0] else None,
        marks,
    )


def _reach(cells: Sequence[CellResult]) -> tuple[float, float]:
    """The range of the values, widened by their intervals as long as those do not dwarf it."""
    found = [value for cell in cells for value in (cell["value"], *cell.get("seeds", ()))]
    values = [value for value in found if value is not None] or [0.0, 1.0]
    low, high = min(values), max(values)
    room = (high - low) / 2 or abs(high) or 1.0
    ends = [end for cell in cells for end in (cell["low"], cell["high"]) if end is not None]
    return max(low - room, min([low, *ends])), min(high + room, max([high, *ends]))
