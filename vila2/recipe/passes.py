"""Entries of a mixture that are read several times, or in part."""

from __future__ import annotations

from vila2.recipe.parts.data import MixtureEntry


def repeated(entry: MixtureEntry, times: float) -> list[MixtureEntry]:
    """Entries that read an entry's samples so many times, whatever the epochs of its stage.

    Args:
        entry: entry of a mixture.
        times: number of passes; the rest beyond whole ones reads a part.
    """
    if entry.count is not None:
        return so_many(entry, entry.count, round(entry.count * times))
    return [entry.model_copy(update={"weight": entry.weight * times})]


def so_many(entry: MixtureEntry, size: int, count: int) -> list[MixtureEntry]:
    """Entries for ``count`` samples of an entry: whole passes, and one entry for the rest.

    Args:
        entry: entry of a mixture.
        size: number of its samples in one pass.
        count: number of samples to read.
    """
    passes, rest = divmod(count, size)
    if entry.count is not None:
        entries = [entry] * passes
    else:
        entries = [entry.model_copy(update={"weight": float(passes)})] if passes else []
    return entries + ([entry.model_copy(update={"count": rest})] if rest else [])
