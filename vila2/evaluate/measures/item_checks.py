"""Checks of item scores that did not come from this package."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, get_args

from vila2.evaluate.measures.items import Items, Unit


def wrong_items(items: Items, known: Collection[Any]) -> str:
    """Says what is wrong with the items of a measure; an empty text where nothing is.

    Args:
        items: items as a plugin's function gave them.
        known: keys that an item may have.
    """
    columns: tuple[list[Any], ...] = (items.keys, items.numerators, items.denominators)
    if not all(isinstance(column, list | tuple) for column in columns):
        return "keys, numerators and denominators are lists"
    if len({len(column) for column in columns}) > 1:
        told = [f"{len(column)} {name}" for name, column in zip(_COLUMNS, columns, strict=True)]
        return f"{told[0]}, {told[1]} and {told[2]}; there is one of each for every item"
    for key in items.keys:
        if not isinstance(key, str) or key not in known:
            return f"the key {key!r} is of nothing that was asked"
    for name, column in zip(_COLUMNS[1:], columns[1:], strict=True):
        for key, value in zip(items.keys, column, strict=True):
            if not _is_finite(value):
                return f"{name} holds {value!r} at {key!r}, which is no finite number"
    if negative := [key for key, value in zip(items.keys, items.denominators, strict=True) if value < 0]:
        return f"the denominator of {negative[0]!r} is below 0"
    if items.unit not in get_args(Unit):
        return f"the unit is {items.unit!r}, not one of {', '.join(get_args(Unit))}"
    if items.higher_is_better not in (True, False, None):
        return f"higher_is_better is {items.higher_is_better!r}, not true, false or None"
    if items.baseline is not None and not _is_finite(items.baseline):
        return f"the baseline is {items.baseline!r}, which is no finite number"
    return ""


_COLUMNS = ("keys", "numerators", "denominators")


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
