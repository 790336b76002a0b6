"""How numbers are written: by unit, with a true minus sign, and a dash where there is none."""

from __future__ import annotations

from collections.abc import Iterable

from vila2.report.results_page import Unit

MISSING = "–"
MINUS = "−"

_LABELS: dict[Unit, str] = {"share": "%", "percent": "%", "words": "words", "score": "", "count": "per image"}


def unit_label(unit: Unit) -> str:
    """The unit to write after the name of a measure; empty for a score."""
    return _LABELS[unit]


def places(unit: Unit, values: Iterable[float | None]) -> int:
    """The number of decimal places for all values of a row.

    Args:
        unit: unit of the values.
        values: values as measured (a share between 0 and 1); None is ignored.
    """
    if unit == "count":
        return 2
    if unit != "score":
        return 1
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    return 3 if largest < 10 else 1


def written(value: float | None, unit: Unit, decimals: int) -> str:
    """A value as a reader sees it: a share as percent.

    >>> written(0.7934, "share", 1), written(None, "share", 1)
    ('79.3', '–')
    """
    if value is None:
        return MISSING
    text = f"{value * (100 if unit == 'share' else 1):.{decimals}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", MINUS)


def written_change(value: float | None, unit: Unit, decimals: int) -> str:
    """A difference with its sign."""
    text = written(value, unit, decimals)
    return text if text == MISSING or text.startswith(MINUS) else f"+{text}"


def written_interval(low: float | None, high: float | None, unit: Unit, decimals: int) -> str:
    """An interval, or nothing where there is none."""
    if low is None or high is None:
        return ""
    first, last = written(low, unit, decimals), written(high, unit, decimals)
    return f"{first} to {last}" if MINUS in first + last else f"{first}–{last}"


def written_half_width(low: float | None, high: float | None, unit: Unit, decimals: int) -> str:
    """Half the interval's width as " ±2.9"; nothing where there is no interval."""
    return "" if low is None or high is None else f" ±{written((high - low) / 2, unit, decimals)}"


def written_amount(count: int) -> str:
    """A large count, shortened.

    >>> written_amount(1234), written_amount(868_000), written_amount(8_030_000_000)
    ('1,234', '868k', '8.03B')
    """
    for size, letter in ((10**9, "B"), (10**6, "M")):
        if count >= size:
            return f"{count / size:.3g}{letter}" if count < 1000 * size else f"{count / size:,.0f}{letter}"
    return f"{count / 1000:.0f}k" if count >= 10_000 else f"{count:,}"
