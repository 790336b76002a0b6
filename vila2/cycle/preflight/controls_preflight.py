"""Checks the controls of a recipe before any work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vila2.cycle.controls.catalog import find_controls
from vila2.cycle.preflight.recipe_preflight import check_names
from vila2.cycle.preflight.rounds_preflight import check_images
from vila2.errors import RecipeError
from vila2.sources.first_samples import first_samples

if TYPE_CHECKING:
    from vila2.cycle.rounds import History
    from vila2.cycle.training import TrainedGeneralist
    from vila2.recipe.recipe import Recipe


def check_controls(recipe: Recipe, history: History, models: Mapping[str, TrainedGeneralist]) -> None:
    """Checks what only controls name, and that each differs from the models it is compared with.

    Args:
        recipe: recipe, checked itself, that names the controls.
        history: rounds of a dry walk.
        models: models of the controls in the same walk, by name.

    Raises:
        Vila2Error: something that a control names is missing, or a control would show nothing.
    """
    for control in find_controls(recipe):
        made = control.applied_to(recipe)
        check_names(made)
        own = {name: spec for name, spec in made.data_in_use.items() if recipe.data_in_use.get(name) != spec}
        first_samples(own)
        if made.cycle.rounds and not recipe.cycle.rounds:
            check_images(made)
        for held in control.compared_with(history):
            if held.model.digest == models[control.name].model.digest:
                raise RecipeError(
                    f"controls: {control.name} would be {held.name} once more, in this recipe",
                    hint="leave it out",
                )
