"""The item scores behind a model's measures, as its scoring step keeps them."""

from __future__ import annotations

from collections.abc import Sequence

from vila2.errors import RunError
from vila2.evaluate.measures.items import Items, read_items
from vila2.run.step_files import StepResult


def scored_items(scores: StepResult) -> dict[str, Items]:
    """The item scores of every measure, by BENCHMARK/MEASURE."""
    return read_items(scores.folder)


def items_of(scores: StepResult, measure: str) -> Items:
    """The item scores of BENCHMARK/MEASURE; of a whole BENCHMARK those of all its measures together.

    Raises:
        RunError: nothing of that name was measured, or a benchmark's measures do not add up.
    """
    items = scored_items(scores)
    if measure in items:
        return items[measure]
    parts = [item for name, item in items.items() if name.startswith(f"{measure}/")]
    if not parts:
        raise RunError(
            f"{scores.folder}: there is no measure {measure!r} among {', '.join(items)}",
            hint="name one of these; what nothing was asked of is not there: then measure more samples",
        )
    if len({part.unit for part in parts}) > 1 or any(part.higher_is_better is not True for part in parts):
        raise RunError(
            f"{measure} has measures that do not add up: of not all of them more is better, or their units differ",
            hint=f"name one of {', '.join(name for name in items if name.startswith(f'{measure}/'))}",
        )
    return pooled(parts)


def pooled(parts: Sequence[Items]) -> Items:
    """Several measures of one unit as one: what is about the same key is added up."""
    top: dict[str, float] = {}
    bottom: dict[str, float] = {}
    for part in parts:
        for key, numerator, denominator in zip(part.keys, part.numerators, part.denominators, strict=True):
            top[key] = top.get(key, 0.0) + numerator
            bottom[key] = bottom.get(key, 0.0) + denominator
    return Items(list(top), list(top.values()), list(bottom.values()), parts[0].unit)
