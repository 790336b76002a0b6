"""Loss curves: one panel per stage, the models of all rounds overlaid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vila2.report.axis import Axis, make_axis
from vila2.report.numbers import written_amount
from vila2.report.results_page import ModelResult, StageResult

WIDTH, HEIGHT = 340.0, 230.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 38.0, 66.0, 12.0, 32.0
# Labels at the ends of curves keep this distance, in pixels.
_LINE_HEIGHT = 13.0
# More points than this cannot be seen at this width; neighbors are averaged.
_MOST_POINTS = 300
#: Curves and their dashes repeat after this many models.
STYLES = 5

_Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Curve:
    """One model's loss in one stage, as SVG path data.

    Attributes:
        style: number of the color and dash.
        raw, smooth: loss as logged, and its running mean.
        label: final value of the running mean.
        end_x, end_y: last point of the smooth path.
        label_y: baseline of the label.
    """

    name: str
    style: int
    raw: str
    smooth: str
    label: str
    end_x: float
    end_y: float
    label_y: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One stage: axes, curves, and what was trained."""

    stage: str
    x: Axis
    y: Axis
    curves: tuple[Curve, ...]
    facts: tuple[str, ...]


def loss_panels(models: Sequence[ModelResult]) -> tuple[Panel, ...]:
    """A panel for every stage that logged a loss, in the order in which stages are trained."""
    names = dict.fromkeys(stage.name for model in models for stage in model.stages)
    panels = []
    for name in names:
        stages = [
            (n, model, stage)
            for n, model in enumerate(models)
            for stage in model.stages
            if stage.name == name
        ]
        panel = _panel(name, stages)
        if panel is not None:
            panels.append(panel)
    return tuple(panels)


def _panel(name: str, stages: Sequence[tuple[int, ModelResult, StageResult]]) -> Panel | None:
    drawn = [(n, model, _thinned(_finite(stage))) for n, model, stage in stages]
    drawn = [(n, model, points) for n, model, points in drawn if points]
    if not drawn:
        return None
    smooth = {n: _running_mean(points) for n, _, points in drawn}
    everything = [point for _, _, points in drawn for point in points]
    x = make_axis(0, max(step for step, _ in everything), _LEFT, WIDTH - _RIGHT, wanted=3, whole=True)
    y = make_axis(
        min(loss for _, loss in everything),
        max(loss for _, loss in everything),
        HEIGHT - _BOTTOM,
        _TOP,
        wanted=4,
    )
    ends = {n: y.pixel(smooth[n][-1][1]) for n, _, _ in drawn}
    labels = _apart(ends)
    curves = tuple(
        Curve(
            model.name,
            n % STYLES,
            _path(points, x, y),
            _path(smooth[n], x, y),
            f"{smooth[n][-1][1]:.{2 if abs(smooth[n][-1][1]) < 100 else 0}f}",
            x.pixel(smooth[n][-1][0]),
            ends[n],
            labels[n],
        )
        for n, model, points in drawn
    )
    return Panel(name, x, y, curves, _facts(stages))


def _finite(stage: StageResult) -> _Points:
    return [(float(step), loss) for step, loss in stage.loss if loss is not None]


def _thinned(points: _Points) -> _Points:
    size = math.ceil(len(points) / _MOST_POINTS)
    if size <= 1:
        return points
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [
        (sum(p[0] for p in group) / len(group), sum(p[1] for p in group) / len(group)) for group in groups
    ]


def _running_mean(points: _Points) -> _Points:
    """The mean over about an eighth of the curve around each point, over less at its beginning."""
    reach = len(points) // 16
    result = []
    for n, (step, _) in enumerate(points):
        near = min(reach, n, len(points) - 1 - n)
        # The last points keep their mean over what lies before them: a single last step says little.
        first = max(0, n - reach) if n + reach >= len(points) else n - near
        window = points[first : n + near + 1]
        result.append((step, sum(loss for _, loss in window) / len(window)))
    return result


def _path(points: _Points, x: Axis, y: Axis) -> str:
    return "M" + " L".join(f"{x.pixel(step):.1f} {y.pixel(loss):.1f}" for step, loss in points)


def _apart(ends: dict[int, float]) -> dict[int, float]:
    """Moves labels that would cover each other a line apart, as a block around their middle."""
    blocks: list[tuple[list[int], float]] = []  # curves in order, and the height of the block's middle
    for n in sorted(ends, key=lambda n: (ends[n], n)):
        members, middle = [n], _in_frame(ends[n], 1)
        while blocks and middle - blocks[-1][1] < _LINE_HEIGHT * (len(members) + len(blocks[-1][0])) / 2:
            members = blocks.pop()[0] + members
            middle = _in_frame(sum(ends[m] for m in members) / len(members), len(members))
        blocks.append((members, middle))
    heights: dict[int, float] = {}
    for members, middle in blocks:
        top = middle - _LINE_HEIGHT * (len(members) - 1) / 2
        heights |= {m: round(top + _LINE_HEIGHT * place, 1) for place, m in enumerate(members)}
    return heights


def _in_frame(middle: float, labels: int) -> float:
    """The middle of a block of labels, moved so that all of them lie beside the frame."""
    room = _LINE_HEIGHT * (labels - 1) / 2
    return min(max(middle, _TOP + room), HEIGHT - _BOTTOM - room)


def _facts(stages: Sequence[tuple[int, ModelResult, StageResult]]) -> tuple[str, ...]:
    """What was trained; once where it is the same in every round."""
    lines: dict[str, list[str]] = {}
    for _, model, stage in stages:
        trained = " + ".join(stage.trained) or "nothing"
        line = (
            f"{trained}: {written_amount(stage.parameters_trained)} parameters, "
            f"{stage.samples:,} samples, {stage.steps:,} steps"
        )
        if stage.tokens:
            line += f", {written_amount(stage.tokens)} tokens"
        lost = sum(loss is None for _, loss in stage.loss)
        if lost:
            line += f"; {lost} logged losses were not finite and are not drawn"
        lines.setdefault(line, []).append(model.name)
    if len(lines) == 1:
        return tuple(lines)
    return tuple(f"{', '.join(names)}: {line}" for line, names in lines.items())
