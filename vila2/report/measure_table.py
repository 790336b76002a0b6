"""Measures as rows and models (or layers) as columns, with changes beside them (paper: Table 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vila2.report.numbers import MISSING, places, unit_label, written, written_change, written_interval
from vila2.report.results_page import Change, LayerResult, ModelResult, ShownMeasure

#: Width and height of the small picture of a change, in pixels.
BAR_WIDTH, BAR_HEIGHT = 96.0, 14.0

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ValueCell:
    """A value with its interval; ``best`` if no other of its row is better."""

    text: str
    interval: str
    best: bool


@dataclass(frozen=True, slots=True)
class ChangeCell:
    """A paired difference, and where its interval lies about zero.

    Attributes:
        text, interval: difference and interval in words.
        arrow: "↑" or "↓" only if the interval excludes zero.
        meaning: "better", "worse", "changed" (no direction is good), "untold" (interval includes zero)
            or "none" (not compared).
        low, middle, high: pixels from the left of a picture ``BAR_WIDTH`` wide with zero in its middle.
    """

    text: str = MISSING
    interval: str = ""
    arrow: str = ""
    meaning: str = "none"
    low: float = 0.0
    middle: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, slots=True)
class Column:
    """A model's values, or a pair's changes."""

    label: str
    is_change: bool


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """One measure; ``remark`` holds its unit, its baseline, and whether lower is better."""

    name: str
    remark: str
    count: int
    cells: tuple[ValueCell | ChangeCell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows by benchmark under shared columns."""

    columns: tuple[Column, ...]
    groups: tuple[tuple[str, tuple[MeasureRow, ...]], ...]


def model_table(models: Sequence[ModelResult], changes: Sequence[Change]) -> Table:
    """The table of models; a change stands to the right of the model that it leads to."""
    return _table({model.name: model.measures for model in models}, changes)


def change_tables(models: Sequence[ModelResult], changes: Sequence[Change]) -> tuple[tuple[str, Table], ...]:
    """The changes alone, for runs with so many comparisons that one table would be too wide to read.

    Returns:
        For each model that others are compared with, its name and the table of its changes.
    """
    values = {model.name: {(m.benchmark, m.name): m for m in model.measures} for model in models}
    tables = []
    for to in dict.fromkeys(change.to for change in changes):
        own = [change for change in changes if change.to == to]
        keys = dict.fromkeys((change.benchmark, change.name) for change in own)
        shown = [key for key in keys if any(key in measures for measures in values.values())]
        tables.append((to, _change_table(own, shown, values)))
    return tuple(tables)


def _change_table(
    changes: Sequence[Change],
    keys: Sequence[_Key],
    values: Mapping[str, Mapping[_Key, ShownMeasure]],
) -> Table:
    of_pair = {(c.from_, c.to, c.benchmark, c.name): c for c in changes if (c.benchmark, c.name) in keys}
    order: list[str | _Key] = list(dict.fromkeys(pair[:2] for pair in of_pair))
    scales = _scales(values, list(of_pair.values()))
    groups = tuple(
        (
            benchmark,
            tuple(_row(key, order, values, of_pair, scales) for key in keys if key[0] == benchmark),
        )
        for benchmark in dict.fromkeys(key[0] for key in keys)
    )
    return Table(tuple(Column(f"from {pair[0]}", True) for pair in order), groups)


def layer_table(layers: Sequence[LayerResult]) -> Table:
    """The table of layers: how true their captions are."""
    return _table({layer.name: layer.measures for layer in layers if layer.measures}, ())


def _table(owners: Mapping[str, Sequence[ShownMeasure]], changes: Sequence[Change]) -> Table:
    values = {owner: {(m.benchmark, m.name): m for m in measures} for owner, measures in owners.items()}
    keys = list(dict.fromkeys(key for measures in values.values() for key in measures))
    of_pair = {(c.from_, c.to, c.benchmark, c.name): c for c in changes if (c.benchmark, c.name) in keys}
    order = _columns(list(owners), dict.fromkeys(pair[:2] for pair in of_pair))
    scales = _scales(values, list(of_pair.values()))
    groups = []
    for benchmark in dict.fromkeys(key[0] for key in keys):
        rows = [_row(key, order, values, of_pair, scales) for key in keys if key[0] == benchmark]
        groups.append((benchmark, tuple(rows)))
    columns = [
        Column(entry, False) if isinstance(entry, str) else Column(f"change from {entry[0]}", True)
        for entry in order
    ]
    return Table(tuple(columns), tuple(groups))


def _columns(owners: Sequence[str], pairs: Mapping[_Key, None]) -> list[str | _Key]:
    order: list[str | _Key] = []
    for owner in owners:
        order.append(owner)
        order += [pair for pair in pairs if pair[1] == owner]
    return order + [pair for pair in pairs if pair[1] not in owners]


def _row(
    key: _Key,
    order: Sequence[str | _Key],
    values: Mapping[str, Mapping[_Key, ShownMeasure]],
    of_pair: Mapping[tuple[str, str, str, str], Change],
    scales: Mapping[str, float],
) -> MeasureRow:
    own = [measures[key] for measures in values.values() if key in measures]
    first = own[0]
    decimals = places(first.unit, [measure.value for measure in own])
    best = _best([written(m.value, first.unit, decimals) for m in own], own)
    cells: list[ValueCell | ChangeCell] = []
    for entry in order:
        if isinstance(entry, str):
            cells.append(_value_cell(values[entry].get(key), decimals, best))
        else:
            cells.append(_change_cell(of_pair.get((*entry, *key)), first, decimals, scales))
    label = unit_label(first.unit)
    remarks = [
        label if label != key[1] else "",
        "lower is better" if first.higher_is_better is False else "",
        "" if first.baseline is None else f"baseline {written(first.baseline, first.unit, decimals)}",
    ]
    remark = ", ".join(remark for remark in remarks if remark)
    return MeasureRow(key[1], remark, max(m.count for m in own), tuple(cells))


def _best(texts: Sequence[str], own: Sequence[ShownMeasure]) -> str | None:
    """The best value as written, so that equal texts are equally bold; None where there is no contest."""
    higher = own[0].higher_is_better
    judged = [(m.value, text) for m, text in zip(own, texts, strict=True) if m.value is not None]
    if higher is None or len({text for _, text in judged}) < 2:
        return None
    return (max if higher else min)(judged)[1]


def _value_cell(measure: ShownMeasure | None, decimals: int, best: str | None) -> ValueCell:
    if measure is None:
        return ValueCell(MISSING, "", False)
    text = written(measure.value, measure.unit, decimals)
    return ValueCell(text, written_interval(measure.low, measure.high, measure.unit, decimals), text == best)


def _scales(values: Mapping[str, Mapping[_Key, ShownMeasure]], changes: Sequence[Change]) -> dict[str, float]:
    """The largest end of an interval by unit: changes of one unit are drawn to one scale."""
    unit_of = {key: measure.unit for measures in values.values() for key, measure in measures.items()}
    scales: dict[str, float] = {}
    for change in changes:
        unit = unit_of[change.benchmark, change.name]
        ends = [abs(end) for end in (change.low, change.high, change.difference) if end is not None]
        scales[unit] = max([scales.get(unit, 0.0), *ends])
    return scales


def _change_cell(
    change: Change | None, measure: ShownMeasure, decimals: int, scales: Mapping[str, float]
) -> ChangeCell:
    if change is None or change.difference is None or change.low is None or change.high is None:
        return ChangeCell()
    scale = scales[measure.unit] or 1.0
    low, middle, high = (
        BAR_WIDTH / 2 * (1 + 0.96 * end / scale) for end in (change.low, change.difference, change.high)
    )
    direction = change.direction
    if direction == 0:
        meaning = "untold"
    elif measure.higher_is_better is None:
        meaning = "changed"
    else:
        meaning = "better" if (direction > 0) == measure.higher_is_better else "worse"
    return ChangeCell(
        written_change(change.difference, measure.unit, decimals),
        written_interval(change.low, change.high, measure.unit, decimals),
        {1: "↑", -1: "↓", 0: ""}[direction],
        meaning,
        round(low, 1),
        round(middle, 1),
        round(high, 1),
    )
