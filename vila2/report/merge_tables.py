"""A merge as tables and in a line: for the terminal and the page alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from vila2.report.merge_result import MergedSource, MergeResult, Rates
from vila2.report.numbers import MISSING

#: Columns and rows.
Table = tuple[list[str], list[list[str]]]
_VERDICTS = ("supported", "contradicted", "unverified")


def kept_table(merged: MergeResult, what: Literal["exchanges", "sentences"]) -> Table:
    """How many of each layer were kept, and how many dropped by reason."""
    counts = [(name, getattr(one, what)) for name, one in _rows(merged)]
    reasons = sorted({reason for _, one in counts for reason in one.dropped})
    rows = [
        [name, f"{one.kept:,}", *(f"{one.dropped.get(reason, 0):,}" for reason in reasons)]
        for name, one in counts
    ]
    return [what, "kept", *reasons], rows


def verdict_table(merged: MergeResult) -> Table:
    """Verdicts on the sentences of each layer."""
    rows = [
        [name, *(f"{one.verdicts.get(verdict, 0):,}" for verdict in _VERDICTS)] for name, one in _rows(merged)
    ]
    return ["verdicts", *_VERDICTS], rows


def rate_table(merged: MergeResult) -> Table:
    """Claims, coverage, contradiction rate and words of each layer, before and after the merge."""
    rows = [
        [
            name,
            _both(one, lambda rates: f"{rates.claims:,}"),
            _both(one, lambda rates: _share(rates.coverage)),
            _both(one, lambda rates: _share(rates.contradiction_rate)),
            f"{one.words_before:.1f} > {one.words_after:.1f}",
        ]
        for name, one in _rows(merged)
    ]
    return ["before > after", "claims", "coverage", "contradicted", "words"], rows


#: What the columns of :func:`rate_table` mean.
RATES_TOLD = (
    "coverage: share of claims that some evidence decides; contradicted: share of those that it refutes; "
    "words: of answers and captions, per image"
)


def merge_line(merged: MergeResult) -> str:
    """A merge in a line."""
    one = merged.all
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in one.sentences.dropped.items()) or "none"
    total = one.sentences.kept + sum(one.sentences.dropped.values())
    return (
        f"Merged: {one.sentences.kept:,} of {total:,} sentences kept (dropped: {dropped}); "
        f"coverage {_both(one, lambda rates: _share(rates.coverage))}, "
        f"contradicted {_both(one, lambda rates: _share(rates.contradiction_rate))}."
    )


def _rows(merged: MergeResult) -> Iterator[tuple[str, MergedSource]]:
    yield from merged.sources.items()
    yield "all", merged.all


def _both(one: MergedSource, told: Callable[[Rates], str]) -> str:
    return f"{told(one.before)} > {told(one.after)}"


def _share(value: float | None) -> str:
    return MISSING if value is None else f"{value:.0%}"
