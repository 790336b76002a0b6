"""Which models of a run stay on disk: ``keep`` of a recipe."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vila2.run.pruning import prune
from vila2.specialist.making_steps import save

if TYPE_CHECKING:
    from vila2.cycle.rounds import History
    from vila2.cycle.training import TrainedGeneralist
    from vila2.recipe.recipe import Recipe
    from vila2.run.step_files import PlannedStep


def keep_models(
    recipe: Recipe,
    plan: Sequence[PlannedStep],
    history: History,
    controls: Mapping[str, TrainedGeneralist],
) -> None:
    """Deletes the models that ``keep`` does not name and that no unfinished step starts from.

    Args:
        recipe: recipe of the run.
        plan: all steps of the run, as a dry walk found them.
        history: rounds of the same walk.
        controls: models of the controls, by name.
    """
    if recipe.keep == "all":
        return
    freed = prune(plan, _kept_folders(recipe, plan, history, controls.values()), why=f"keep: {recipe.keep}")
    if freed:
        size = sum(freed.values()) / 1e9
        logging.getLogger(__name__).info("pruned %s: %.2f GB", ", ".join(freed), size)


def _kept_folders(
    recipe: Recipe, plan: Sequence[PlannedStep], history: History, controls: Collection[TrainedGeneralist]
) -> set[Path]:
    """The folders of the steps whose models stay: the best, or all final ones, and the specialists."""
    kept = [history.outcome, history.best]
    if recipe.keep == "models":
        kept = [*history.all_models, *controls]
    specialists = {step.folder for step in plan if step.function == save.digested_as}
    return {one.model.folder for one in kept} | specialists
