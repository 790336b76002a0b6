"""Writes the report: one self-contained HTML page that loads nothing and needs no script."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from vila2.data.atomic import write_text_atomic
from vila2.report import loss_chart as loss, measure_table as tables, words_chart as words
from vila2.report.dates import written_date
from vila2.report.definitions import definitions
from vila2.report.example_cards import example_cards, filters
from vila2.report.facts_table import fact_rows, step_rows
from vila2.report.layer_rows import layer_rows
from vila2.report.merge_tables import RATES_TOLD, Table, kept_table, rate_table
from vila2.report.results_page import Results, parse_results
from vila2.report.run_facts import RunFacts
from vila2.report.templates import filled
from vila2.report.verdict_card import verdict

#: Comparisons that stand beside the values; more of them get tables of their own.
_PAIRS_BESIDE_VALUES = 2
# HTML has no place for these, or (halves of surrogate pairs) UTF-8 has none. Line breaks and tabs stay.
_NOT_FOR_HTML = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def write_report(results: Mapping[str, Any] | Results, path: Path, facts: RunFacts | None = None) -> None:
    """Renders the page; the same results and facts give the same bytes.

    Args:
        results: content of results.json, see :class:`vila2.report.results_page.Results`.
        path: path of the HTML file; written atomically, its folder is made where missing.
        facts: when and on what machine the run was made; None where nobody knows.

    Raises:
        DataError: the results are not as they should be, or a claim lies outside its text.
    """
    write_text_atomic(path, render_page(results, facts))


def render_page(results: Mapping[str, Any] | Results, facts: RunFacts | None = None) -> str:
    """The page as text.

    Raises:
        DataError: see :func:`write_report`.
    """
    results = parse_results(results)
    cards = example_cards(results.examples, results.layers)
    measured = [one.measures for one in results.models] + [one.measures for one in results.layers]
    measured += [one.measures for one in results.published]
    defined = definitions(chain.from_iterable(measured))
    apart = len({(change.from_, change.to) for change in results.changes}) > _PAIRS_BESIDE_VALUES
    page = filled(
        "page.jinja",
        results=results,
        finished=written_date(facts.finished) if facts is not None and facts.finished else "",
        sentences=verdict(results),
        models=tables.model_table(results.models, () if apart else results.changes),
        published=tables.model_table(results.published, ()),
        changes=tables.change_tables(results.models, results.changes) if apart else (),
        compared=len(results.changes),
        bar=(tables.BAR_WIDTH, tables.BAR_HEIGHT),
        layers=layer_rows(results.layers),
        words=words.words_chart(results.layers),
        words_size=(words.WIDTH, words.ROW_HEIGHT),
        merged=_merge_tables(results),
        rates_told=RATES_TOLD,
        quality=tables.layer_table(results.layers),
        panels=loss.loss_panels(results.models),
        panel_size=(loss.WIDTH, loss.HEIGHT),
        styles=loss.STYLES,
        definitions=defined,
        anchors={name: one.anchor for one in defined for name in one.measures},
        facts=fact_rows(results, facts),
        steps=step_rows(facts),
        cards=cards,
        filters=filters(cards),
        checked=any(caption.claims for example in results.examples for caption in example.captions),
    )
    return for_html(page)


def _merge_tables(results: Results) -> list[tuple[str, Table]]:
    """The tables of the merge, each with its caption."""
    merged = results.merge
    if merged is None:
        return []
    return [
        ("Sentences kept and dropped", kept_table(merged, "sentences")),
        ("Exchanges kept and dropped", kept_table(merged, "exchanges")),
        ("Claims before and after the merge", rate_table(merged)),
    ]


def for_html(page: str) -> str:
    """The page with a visible sign for every character that HTML has no place for."""
    return _NOT_FOR_HTML.sub(_visible, page)


def _visible(found: re.Match[str]) -> str:
    """One sign for one character: the control picture of C0 controls, else the replacement character."""
    code = ord(found.group())
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"
