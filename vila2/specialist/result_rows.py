"""Rows of results.json that the results of runs and of specialists share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from vila2.evaluate.measures.intervals import paired_ratio_bootstrap
from vila2.evaluate.measures.items import Items
from vila2.run.step_files import StepResult
from vila2.train.left_out import LEFT_OUT_FILE, left_out_line

_STAGE_FIELDS = ("trained", "parameters_trained", "samples", "steps", "tokens", "loss")

#: The difference between two models in one measure, with its paired 95% interval.
ChangeRow = TypedDict(
    "ChangeRow",
    {
        "benchmark": str,
        "name": str,
        "from": str,
        "to": str,
        "difference": float,
        "low": float,
        "high": float,
    },
)


class ModelRow(TypedDict):
    """A model: its name, its round, what its stages trained, and its measures."""

    name: str
    round: int
    stages: list[dict[str, Any]]
    measures: list[dict[str, Any]]


class RecipeRow(TypedDict):
    """The recipe of a run: its name, its seed and its whole text."""

    name: str
    seed: int
    text: str


def stage_rows(stages: Mapping[str, StepResult]) -> list[dict[str, Any]]:
    """Returns what trained stages report, in order."""
    return [
        {"name": name} | {field: step.results[field] for field in _STAGE_FIELDS if field in step.results}
        for name, step in stages.items()
    ]


def left_out_notes(stages: Mapping[str, StepResult], where: str) -> dict[str, str]:
    """Returns a sentence about every stage that left samples out, by folder of the step.

    Args:
        stages: trained stages, by name.
        where: beginning of the sentence, as in "Stage" or "VILA_0, stage".
    """
    return {
        str(step.folder): f"{where} {name}: {left_out_line(step.results['left_out'])}; "
        f"they are named in {step.folder.name}/{LEFT_OUT_FILE}."
        for name, step in stages.items()
        if "left_out" in step.results
    }


def change_row(
    names: tuple[str, str], models: tuple[str, str], before: Items | None, after: Items, *, seed: int
) -> ChangeRow | None:
    """Measures the difference between two models over the same items.

    Args:
        names: name of the benchmark, and of the measure.
        models: name of the model before, and of the model after.
        before: item scores of the model before; None where it has none.
        after: item scores of the model after.
        seed: seed of the bootstrap.

    Returns:
        The row; None where the items differ, or where one of the models said nothing that could be measured.
    """
    if before is None or before.keys != after.keys:
        return None
    if not (sum(after.denominators) and sum(before.denominators)):
        return None
    difference, low, high = paired_ratio_bootstrap(
        (before.numerators, before.denominators), (after.numerators, after.denominators), seed=seed
    )
    return {
        "benchmark": names[0],
        "name": names[1],
        "from": models[0],
        "to": models[1],
        "difference": difference,
        "low": low,
        "high": high,
    }
