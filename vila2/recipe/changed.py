"""Changes settings of a recipe's plain values by their places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_KEYS = re.compile(r"\[([^\]]+)\]|([^.\[\]]+)")


def changed(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a recipe's plain values with some settings changed.

    Args:
        base: plain values of the recipe.
        changes: new values by their places. A place is ``a.b.c``; brackets hold a key that has a dot in it,
            as in ``specialists.spatial.set[annotate.prompts]``. None removes the key. A new stage becomes the
            first.
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
    """A copy in which no two places share an object, so that a change reaches one place only."""
    if isinstance(value, Mapping):
        return {key: _unshared(inner) for key, inner in value.items()}
    return [_unshared(inner) for inner in value] if isinstance(value, list | tuple) else value
