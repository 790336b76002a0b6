"""A recipe with some settings changed, by their places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_KEYS = re.compile(r"\[([^\]]+)\]|([^.\[\]]+)")


def changed(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a raw recipe with other settings, by their places.

    Args:
        base: plain values.
        changes: values by their places. A place is ``a.b.c``; a key with a dot in it stands in brackets, as
            in ``specialists.spatial.set[annotate.prompts]``. None takes the key out. A stage that is added
            comes first.
    """
    raw: dict[str, Any] = _unshared(base)
    for place, value in changes.items():
        *above, last = (bracketed or plain for bracketed, plain in _KEYS.findall(place))
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
