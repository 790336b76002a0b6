"""The nearest right name to a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that ``name`` was most likely meant to be, or None."""
    by_folded = {candidate.casefold().replace("-", "_"): candidate for candidate in sorted(known)}
    found = difflib.get_close_matches(name.casefold().replace("-", "_"), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, known: Collection[str]) -> str:
    """How an error message ends: with the nearest right name, or with all of them."""
    near = nearest(name, known)
    if near is not None:
        return f"did you mean {near!r}?"
    return f"there is: {', '.join(sorted(known))}" if known else "there are none"


def nearest_path(path: Path) -> Path | None:
    """What lies beside a path that is not there and is most likely meant, or None."""
    if path.exists():
        return None
    try:
        beside = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return None
    near = nearest(path.name, beside)
    return None if near is None else path.parent / near
