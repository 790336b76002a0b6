"""The cycle, whole: self-augmentation until it saturates, specialists, and the controls beside it.

history = self_augment(recipe)               # rounds.py: VILA_0, VILA_1, ... and the best of them
final   = specialist_augment(history.best)   # specialist_augmentation.py: VILA²
control = improve(recipe, changed), ...      # controls.py: what else could have done it
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2.cycle.controls.catalogue import Control, find_controls
from vila2.cycle.rounds import History, self_augment
from vila2.cycle.specialist_augmentation import specialist_augment
from vila2.cycle.training import Cycle, TrainedGeneralist
from vila2.progress import Progress
from vila2.run.pruning import prune
from vila2.run.run_model import link_model
from vila2.run.steps import Run, checkpoint
from vila2.specialist.making_steps import save

if TYPE_CHECKING:
    from vila2.recipe.recipe import Recipe


def use_threads(count: int | None) -> None:
    """Limits torch to this many CPU threads; None leaves the choice to torch."""
    if count is not None:
        import torch

        torch.set_num_threads(count)


def improve(
    recipe: Recipe, run: Run, *, processes: int = 1, after_rounds: Callable[[], None] | None = None
) -> tuple[Cycle, History]:
    """Does a recipe: trains a generalist and lets it improve itself.

    Args:
        recipe: of the run; of its controls nothing is done here.
        run: where its steps are done.
        processes: that train together.
        after_rounds: called when it is known which round goes on.
    """
    cycle = Cycle.begin(recipe, run, processes=processes)
    history = self_augment(cycle)
    if after_rounds is not None:
        after_rounds()
    if recipe.specialists:
        history = replace(history, final=specialist_augment(cycle, history.best))
    return cycle, history


def do_controls(recipe: Recipe, run: Run, *, processes: int = 1) -> dict[str, TrainedGeneralist]:
    """The model of every control of a recipe, by the control's name; what they have in common is done once."""
    return {control.name: _outcome(control, recipe, run, processes) for control in find_controls(recipe)}


def _outcome(control: Control, recipe: Recipe, run: Run, processes: int) -> TrainedGeneralist:
    _, history = improve(control.applied_to(recipe), run, processes=processes)
    return replace(history.outcome, name=control.name)


def _prune(recipe: Recipe, folder: Path) -> None:
    """Deletes the models that ``keep`` does not name and no step that is still to do starts from.

    What is still to do is found by a dry walk, which knows by now which round goes on.
    """
    if recipe.keep == "all":
        return
    walk = Run.open(folder, dry=True)
    _, history = improve(recipe, walk)
    controls = do_controls(recipe, walk)
    kept = [history.outcome, history.best]
    if recipe.keep == "models":
        kept = [*history.all_models, *controls.values()]
    keep = {one.model.folder for one in kept}
    keep |= {step.folder for step in walk.plan if step.function == save.digested_as}
    freed = prune(walk.plan, keep, why=f"keep: {recipe.keep}")
    if freed:
        size = sum(freed.values()) / 1e9
        logging.getLogger(__name__).info("pruned %s: %.2f GB", ", ".join(freed), size)


def run_recipe(recipe: Recipe, folder: Path, *, dry_run: bool, progress: Progress) -> Mapping[str, Any]:
    """Runs a recipe with its controls, or goes on with it.

    Args:
        recipe: checked by ``load_recipe``.
        folder: of the run.
        dry_run: plan and check everything, do nothing.
        progress: shows what is under way.

    Returns:
        ``report`` (path of the HTML page), ``summary`` (columns and rows), ``results``, ``model`` (name and folder of
        the one that all this was done for), folders by name of ``models``, ``datasets`` and ``layers``; of a dry run
        ``plan``, ``sizes``, ``samples``, ``memory``, ``disk`` and ``specialists`` instead.

    Raises:
        Vila2Error: whatever is wrong, before the first work where it can be known before.
    """
    from vila2.cycle.preflight.controls_preflight import check_controls
    from vila2.cycle.preflight.disk_need import disk_need
    from vila2.cycle.preflight.recipe_preflight import model_in_outline, preflight
    from vila2.cycle.preflight.rounds_preflight import check_rounds
    from vila2.cycle.preflight.specialists_preflight import check_specialists
    from vila2.cycle.results import write_results
    from vila2.train.processes import processes_here

    plan = Run.open(folder, dry=True)
    checks = preflight(recipe, show=dry_run)
    check_rounds(recipe)
    cycle, history = improve(recipe, plan)
    specialists = check_specialists(cycle, history, show=dry_run)
    check_controls(recipe, history, do_controls(recipe, plan))
    if dry_run:
        model, _ = model_in_outline(recipe)
        disk = disk_need(recipe, plan.plan, model, folder)
        return {"plan": plan.plan, **checks, "disk": disk, "specialists": specialists}
    with Run.open(folder, progress=progress, planned=plan.plan) as run:
        run.keep_recipe(recipe)
        use_threads(recipe.threads)
        processes = processes_here(recipe.processes)
        cycle, history = improve(
            recipe, run, processes=processes, after_rounds=lambda: _prune(recipe, folder)
        )
        controls = do_controls(recipe, run, processes=processes)
        outcome = write_results(cycle, history, controls, folder)
        run.need(history.outcome.model)
        _prune(recipe, folder)
        made = {one.name: checkpoint(one.model).folder for one in (*history.all_models, *controls.values())}
        model = link_model(folder, made[history.outcome.name])
        return outcome | {
            "model": {"name": history.outcome.name, "folder": model},
            "models": made,
            "datasets": {name: step.folder for name, step in cycle.data.items()},
            "layers": {name: step.folder for name, step in cycle.layers.items()},
        }
