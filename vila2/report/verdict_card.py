"""What a run showed, in a sentence per round: what rose or fell, and what cannot be told."""

from __future__ import annotations

from collections.abc import Sequence

from vila2.report.numbers import MISSING, places, written_change
from vila2.report.results_page import Change, Results, ShownMeasure

# More names than this are counted instead of listed.
_NAMED = 4


def verdict(results: Results) -> tuple[str, ...]:
    """One sentence for each pair of models that was compared.

    A measure rose or fell only if the whole interval of its paired difference lies on one side of zero.
    """
    if not results.changes:
        if len(results.models) == 1:
            return (f"One model was trained, {results.models[0].name}; there is nothing to compare it with.",)
        return ("No models were compared.",)
    measures = {(m.benchmark, m.name): m for model in results.models for m in model.measures}
    pairs = dict.fromkeys((change.from_, change.to) for change in results.changes)
    return tuple(
        _sentence(before, after, [c for c in results.changes if (c.from_, c.to) == (before, after)], measures)
        for before, after in pairs
    )


def plain_name(change: Change, changes: Sequence[Change]) -> str:
    """The measure's name, with its benchmark where another one has a measure of the same name."""
    alike = {other.benchmark for other in changes if other.name == change.name}
    return f"{change.name} ({change.benchmark})" if len(alike) > 1 else change.name


def _sentence(
    before: str, after: str, changes: Sequence[Change], measures: dict[tuple[str, str], ShownMeasure]
) -> str:
    def named(change: Change) -> str:
        measure = measures.get((change.benchmark, change.name))
        return f"{plain_name(change, changes)} ({_amount(change, measure)})"

    rose = [named(change) for change in changes if change.direction > 0]
    fell = [named(change) for change in changes if change.direction < 0]
    untold = [plain_name(change, changes) for change in changes if change.direction == 0]
    parts = []
    if rose:
        parts.append(f"{_list(rose)} rose")
    if fell:
        parts.append(f"{_list(fell)} fell")
    if not parts:
        names = _list(untold) if len(untold) <= _NAMED else f"any of the {len(untold)} measures"
        return (
            f"From {before} to {after} no change can be told from chance in {names}: "
            "every 95% interval includes zero."
        )
    if untold:
        names = _list(untold) if len(untold) <= _NAMED else f"the other {len(untold)} measures"
        parts.append(f"no change can be told from chance in {names}")
    return f"From {before} to {after}, {'; '.join(parts)}."


def _amount(change: Change, measure: ShownMeasure | None) -> str:
    unit = measure.unit if measure else "score"
    text = written_change(change.difference, unit, places(unit, [change.difference, change.low, change.high]))
    if text != MISSING and unit in ("share", "percent"):
        text += " points"
    # A fall can be good news: say so where the direction alone would mislead.
    if measure is not None and measure.higher_is_better is False:
        text += ", better" if change.direction < 0 else ", worse"
    return text


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
