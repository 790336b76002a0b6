"""The summary of a run for the terminal: measures as rows, models as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from vila2.report.numbers import MISSING, places, unit_label, written, written_amount, written_half_width
from vila2.report.results_page import Change, Results, ShownMeasure, parse_results

_Key = tuple[str, str]


class SummaryTable(TypedDict):
    """Headings and rows of the summary."""

    columns: list[str]
    rows: list[list[str]]


def summary_table(results: Mapping[str, Any] | Results) -> SummaryTable:
    """Every measure of every model, with half the width of its 95% interval.

    An arrow marks a value that differs from the model before, where the interval of the paired difference
    excludes zero.

    Args:
        results: content of results.json.

    Returns:
        ``columns``: "measure" and the models' names; ``rows``: strings, e.g.
        ``["captions: object precision (%)", "79.3 ±2.9", "83.1 ±2.6 ↑"]``. Names come from the recipe: print
        them as text, not as markup.

    Raises:
        DataError: see :func:`vila2.report.results_page.parse_results`.
    """
    results = parse_results(results)
    own = [{(m.benchmark, m.name): m for m in model.measures} for model in results.models]
    directions = {(c.to, c.benchmark, c.name): c.direction for c in _against_the_one_before(results)}
    rows = [
        _row(key, results, own, directions)
        for key in dict.fromkeys(key for measures in own for key in measures)
    ]
    trained = [sum(stage.tokens for stage in model.stages) for model in results.models]
    if any(trained):
        rows.append(
            ["tokens trained on", *(written_amount(tokens) if tokens else MISSING for tokens in trained)]
        )
    return {"columns": ["measure", *(model.name for model in results.models)], "rows": rows}


def _row(
    key: _Key,
    results: Results,
    own: Sequence[Mapping[_Key, ShownMeasure]],
    directions: Mapping[tuple[str, str, str], int],
) -> list[str]:
    """One measure: its name with its unit and baseline, and its value for each model."""
    present = [measures[key] for measures in own if key in measures]
    unit, baseline = present[0].unit, present[0].baseline
    decimals = places(unit, [measure.value for measure in present])
    label = unit_label(unit)
    remarks = [label] if label and label != key[1] else []
    if baseline is not None:
        remarks.append(f"baseline {written(baseline, unit, decimals)}")
    row = [f"{key[0]}: {key[1]}" + (f" ({', '.join(remarks)})" if remarks else "")]
    for model, measures in zip(results.models, own, strict=True):
        measure = measures.get(key)
        if measure is None or measure.value is None:
            row.append(MISSING)
            continue
        arrow = {1: " ↑", -1: " ↓"}.get(directions.get((model.name, *key), 0), "")
        half = written_half_width(measure.low, measure.high, unit, decimals)
        row.append(written(measure.value, unit, decimals) + half + arrow)
    return row


def _against_the_one_before(results: Results) -> list[Change]:
    before = {b.name: a.name for a, b in zip(results.models, results.models[1:], strict=False)}
    return [change for change in results.changes if before.get(change.to) == change.from_]
