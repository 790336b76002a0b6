"""A recipe with some settings changed, by their places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def changed(base: Mapping[str, Any], changes: Mapping[str | tuple[str, ...], Any]) -> dict[str, Any]:
    """A copy of a raw recipe with other settings, by their places.

    Args:
        base: plain values.
        changes: ``a.b.c``, or the keys one by one where one has a dot in it, to a value; None takes the key out. A
            stage that is added comes first.
    """
    raw = _unshared(base)
    for place, value in changes.items():
        *above, last = place.split(".") if isinstance(place, str) else place
        inner = raw
        for key in above:
            inner = inner.setdefault(key, {})
        if value is None:
            inner.pop(last, None)
        elif above == ["stages"] and last not in inner:
            raw["stages"] = {last: value, **inner}
        else:
            inner[last] = _unshared(value)
    return raw


def _unshared(value: Any) -> Any:
    """A copy in which no two places are one object, as a deep copy's can be: a change reaches one place alone."""
    if isinstance(value, Mapping):
        return {key: _unshared(inner) for key, inner in value.items()}
    return [_unshared(inner) for inner in value] if isinstance(value, list | tuple) else value
