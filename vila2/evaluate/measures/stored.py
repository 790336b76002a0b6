"""Reading the item scores that a scoring step kept."""

from __future__ import annotations

from collections.abc import Sequence

from vila2.errors import RunError
from vila2.evaluate.measures.items import Items, read_items
from vila2.run.step_files import StepResult


def scored_items(scores: StepResult) -> dict[str, Items]:
    """Reads the item scores of every measure, by BENCHMARK/MEASURE."""
    return read_items(scores.folder)


def items_of(scores: StepResult, measure: str) -> Items:
    """Reads the item scores of one measure.

    Args:
        scores: step that scored a model.
        measure: BENCHMARK/MEASURE, or BENCHMARK for all its measures together.

    Raises:
        RunError: nothing of that name was measured, or the benchmark's measures do not add up.
    """
    items = scored_items(scores)
    if measure in items:
        return items[measure]
    own = {name: item for name, item in items.items() if name.startswith(f"{measure}/")}
    if not own:
        raise RunError(
            f"{scores.folder}: there is no measure {measure!r} among {', '.join(items)}",
            hint="name one of these; a measure is missing where no sample had anything to measure: use more",
        )
    parts = list(own.values())
    if len({part.unit for part in parts}) > 1 or any(part.higher_is_better is not True for part in parts):
        raise RunError(
            f"{measure} has measures that do not add up: more is not better for each, or their units differ",
            hint=f"name one of {', '.join(own)}",
        )
    return pooled(parts)


def pooled(parts: Sequence[Items]) -> Items:
    """Makes one measure of several with the same unit; scores with the same key are added up."""
    top: dict[str, float] = {}
    bottom: dict[str, float] = {}
    for part in parts:
        for key, numerator, denominator in zip(part.keys, part.numerators, part.denominators, strict=True):
            top[key] = top.get(key, 0.0) + numerator
            bottom[key] = bottom.get(key, 0.0) + denominator
    return Items(list(top), list(top.values()), list(bottom.values()), parts[0].unit)
