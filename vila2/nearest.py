"""The valid name that is closest to a wrong one, for error messages."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path


def nearest(name: str, known: Collection[str]) -> str | None:
    """Finds the known name that ``name`` most likely stands for; None where none is close."""
    by_folded = {candidate.casefold().replace("-", "_"): candidate for candidate in sorted(known)}
    found = difflib.get_close_matches(name.casefold().replace("-", "_"), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Writes the end of an error message: the closest valid name, or all of them."""
    near = nearest(name, known)
    if near is not None:
        return f"did you mean {near!r}?"
    return f"there is: {', '.join(sorted(known))}" if known else "there are none"


def nearest_path(path: Path) -> Path | None:
    """Finds the neighbor of a missing path that is most likely meant; None where there is none."""
    if path.exists():
        return None
    try:
        beside = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return None
    near = nearest(path.name, beside)
    return None if near is None else path.parent / near
