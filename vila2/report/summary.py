"""The summary of a run: measures as rows, VILA_i as columns; for the terminal and for READMEs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vila2.report.numbers import MISSING, places, unit_label, written, written_amount, written_half_width
from vila2.report.results_page import Results, parse_results
from vila2.report.verdict_card import verdict


def summary_table(results: Mapping[str, Any] | Results) -> dict[str, Any]:
    """Every measure of every model, with half the width of its 95% interval.

    An arrow marks a value that differs from the model before, where the interval of the paired difference
    excludes zero.

    Args:
        results: the content of results.json.

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
    rows = []
    for key in dict.fromkeys(key for measures in own for key in measures):
        present = [measures[key] for measures in own if key in measures]
        unit = present[0].unit
        decimals = places(unit, [measure.value for measure in present])
        label = unit_label(unit)
        remarks = [label] if label and label != key[1] else []
        if present[0].baseline is not None:
            remarks.append(f"baseline {written(present[0].baseline, unit, decimals)}")
        row = [f"{key[0]}: {key[1]}" + (f" ({', '.join(remarks)})" if remarks else "")]
        for model, measures in zip(results.models, own, strict=True):
            measure = measures.get(key)
            if measure is None or measure.value is None:
                row.append(MISSING)
                continue
            arrow = {1: " ↑", -1: " ↓"}.get(directions.get((model.name, *key), 0), "")
            row.append(
                written(measure.value, unit, decimals)
                + written_half_width(measure.low, measure.high, unit, decimals)
                + arrow
            )
        rows.append(row)
    trained = [sum(stage.tokens for stage in model.stages) for model in results.models]
    if any(trained):
        rows.append(
            ["tokens trained on", *(written_amount(tokens) if tokens else MISSING for tokens in trained)]
        )
    return {"columns": ["measure", *(model.name for model in results.models)], "rows": rows}


def summary_markdown(results: Mapping[str, Any] | Results) -> str:
    """The verdict and the summary table as Markdown, ending in a line break.

    Raises:
        DataError: see :func:`vila2.report.results_page.parse_results`.
    """
    results = parse_results(results)
    table = summary_table(results)
    lines = [*(_escaped(sentence) for sentence in verdict(results)), ""]
    lines.append(_line(table["columns"]))
    lines.append("|" + "|".join([" --- ", *(" ---: " for _ in results.models)]) + "|")
    lines += [_line(row) for row in table["rows"]]
    lines += [
        "",
        "± is half the width of the 95% interval; an arrow marks a paired difference to the model before",
    ]
    lines[-1] += " whose 95% interval excludes zero."
    return "\n".join(lines) + "\n"


def _against_the_one_before(results: Results) -> list[Any]:
    before = {b.name: a.name for a, b in zip(results.models, results.models[1:], strict=False)}
    return [change for change in results.changes if before.get(change.to) == change.from_]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    # An underscore within a word (VILA_0) is plain text in Markdown.
    return " ".join(re.sub(r"[\\|*`<>\[\]]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text).split())
