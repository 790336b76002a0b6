"""Writes the report: one self-contained HTML page that loads nothing and needs no script."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vila2.data.atomic import write_text_atomic
from vila2.report import loss_chart as loss, measure_table as tables, words_chart as words
from vila2.report.example_cards import example_cards, filters
from vila2.report.layer_rows import layer_rows
from vila2.report.merge_tables import RATES_TOLD, Table, kept_table, rate_table
from vila2.report.results_page import Results, parse_results
from vila2.report.templates import filled
from vila2.report.verdict_card import verdict

# HTML has no place for these, or (halves of surrogate pairs) UTF-8 has none. Line breaks and tabs stay.
_NOT_FOR_HTML = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def write_report(results: Mapping[str, Any] | Results, path: Path) -> None:
    """Renders the page; the same results give the same bytes.

    Args:
        results: the content of results.json, see :class:`vila2.report.results_page.Results`.
        path: of the HTML file; written atomically, its folder is made where missing.

    Raises:
        DataError: the results are not as they should be, or a claim lies outside its text.
    """
    write_text_atomic(path, render_page(results))


def render_page(results: Mapping[str, Any] | Results) -> str:
    """The page as text.

    Raises:
        DataError: see :func:`write_report`.
    """
    results = parse_results(results)
    cards = example_cards(results.examples, results.layers)
    page = filled(
        "page.jinja",
        results=results,
        sentences=verdict(results),
        models=tables.model_table(results.models, results.changes),
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
        cards=cards,
        filters=filters(cards),
        checked=any(caption.claims for example in results.examples for caption in example.captions),
    )
    return for_html(page)


def _merge_tables(results: Results) -> list[Table]:
    merged = results.merge
    return (
        [kept_table(merged, "sentences"), kept_table(merged, "exchanges"), rate_table(merged)]
        if merged
        else []
    )


def for_html(page: str) -> str:
    """The page with a visible sign for every character that HTML has no place for."""
    return _NOT_FOR_HTML.sub(_visible, page)


def _visible(found: re.Match[str]) -> str:
    """One sign for one character: the control picture of C0 controls, else the replacement character."""
    code = ord(found.group())
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"
