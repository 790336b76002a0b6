"""The whole cycle, as in the paper's Figure 1, and the run of a recipe around it.

    history   = self_augment(cycle)                      # rounds.py: VILA_0, VILA_1, ... and the best
    final     = specialist_augment(cycle, history.best)  # specialist_augmentation.py: VILA²
    preferred = prefer(cycle, final)                     # preferences.py: its own better captions

``improve`` does this for one recipe, ``do_controls`` for each recipe that could explain the gain in another
way (``controls/``), and ``run_recipe`` checks, does both and reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, overload

from vila2.cycle.controls.catalog import find_controls
from vila2.cycle.keeping import keep_models
from vila2.cycle.preferences import prefer
from vila2.cycle.rounds import History, self_augment
from vila2.cycle.specialist_augmentation import specialist_augment
from vila2.cycle.training import Cycle, TrainedGeneralist
from vila2.run.run_model import link_model
from vila2.run.step_kinds import Executor, do_here
from vila2.run.steps import Run, checkpoint

if TYPE_CHECKING:
    from vila2.cycle.preflight.disk_need import DiskNeed
    from vila2.cycle.preflight.recipe_preflight import DatasetSize
    from vila2.cycle.results import RunResults
    from vila2.recipe.recipe import Recipe
    from vila2.run.board import Board
    from vila2.run.step_files import PlannedStep
    from vila2.specialist.specialist_forecast import Forecast
    from vila2.train.sample_tokens import SampleTokens


class RunPlan(TypedDict):
    """What a dry run finds.

    Attributes:
        plan: steps of the run, in order.
        sizes: size of every dataset, by name.
        samples: one sample in tokens, by stage.
        memory: bytes on one device, by stage and purpose; None where they cannot be told.
        disk: bytes on disk.
        specialists: forecast of every specialist, by plugin.
    """

    plan: list[PlannedStep]
    sizes: dict[str, DatasetSize]
    samples: dict[str, SampleTokens]
    memory: dict[str, dict[str, int | None]]
    disk: DiskNeed
    specialists: dict[str, Forecast]


class FinalModel(TypedDict):
    """The model that a run is done for: its name and its folder."""

    name: str
    folder: Path


class RunOutcome(TypedDict):
    """What a finished run gives.

    Attributes:
        report: path of the HTML page.
        summary: ``columns`` and ``rows`` for the terminal.
        told: sentences below the summary.
        results: content of results.json.
        model: model that the run is done for.
        models: folders of all final models, by name.
        datasets: folders of the datasets, by name.
        layers: folders of the layers written in the run, by name.
    """

    report: str
    summary: Any
    told: list[str]
    results: RunResults
    model: FinalModel
    models: dict[str, Path]
    datasets: dict[str, Path]
    layers: dict[str, Path]


def improve(
    recipe: Recipe, run: Run, *, processes: int = 1, after_rounds: Callable[[], None] | None = None
) -> tuple[Cycle, History]:
    """Trains a generalist and lets it improve itself: the paper's Figure 1.

    Args:
        recipe: recipe to follow; its controls are not done here.
        run: run in which the steps are done.
        processes: number of processes that train together.
        after_rounds: called once the best round is known.
    """
    cycle = Cycle.begin(recipe, run, processes=processes)
    history = self_augment(cycle)
    if after_rounds is not None:
        after_rounds()
    if recipe.specialists:
        history = replace(history, final=specialist_augment(cycle, history.best))
    if recipe.cycle.preference is not None:
        history = replace(history, preferred=prefer(cycle, history.outcome, recipe.cycle.preference))
    return cycle, history


def do_controls(recipe: Recipe, run: Run, *, processes: int = 1) -> dict[str, TrainedGeneralist]:
    """Trains the model of every control of a recipe. The steps that they share are done once.

    Returns:
        The models by name of the control.
    """
    models = {}
    for control in find_controls(recipe):
        _, history = improve(control.applied_to(recipe), run, processes=processes)
        models[control.name] = replace(history.outcome, name=control.name)
    return models


@overload
def run_recipe(recipe: Recipe, folder: Path, *, dry_run: Literal[True], progress: Board) -> RunPlan: ...
@overload
def run_recipe(recipe: Recipe, folder: Path, *, dry_run: Literal[False], progress: Board) -> RunOutcome: ...
@overload
def run_recipe(recipe: Recipe, folder: Path, *, dry_run: bool, progress: Board) -> RunPlan | RunOutcome: ...
def run_recipe(recipe: Recipe, folder: Path, *, dry_run: bool, progress: Board) -> RunPlan | RunOutcome:
    """Runs a recipe with its controls, or goes on with it.

    Args:
        recipe: recipe that ``load_recipe`` has checked.
        folder: folder of the run.
        dry_run: whether to plan and check everything, and do nothing.
        progress: board that shows the run.

    Raises:
        Vila2Error: whatever is wrong, before the first work where it can be known by then.
    """
    if dry_run:
        return _plan(recipe, folder)
    planned = _check(recipe, folder)
    with (
        _place_of_work(recipe) as (do, processes),
        Run.open(folder, progress=progress, planned=planned, do=do) as run,
    ):
        return _do(recipe, run, processes)


@contextmanager
def _place_of_work(recipe: Recipe) -> Iterator[tuple[Executor, int]]:
    """Gives what does the work of steps, and the number of processes that train together there."""
    if recipe.compute.ray is None:
        from vila2.train.processes import processes_together

        yield do_here, processes_together(recipe.processes)
        return
    from vila2.compute.cluster_steps import StepsOnCluster
    from vila2.compute.ray_cluster import joined

    with joined(recipe.compute, recipe.threads) as cluster:
        processes = cluster.processes(recipe.processes)
        yield StepsOnCluster(cluster, processes), processes


def _check(recipe: Recipe, folder: Path) -> Sequence[PlannedStep]:
    """Checks a recipe against this machine; returns the steps that it will take."""
    from vila2.cycle.preflight.recipe_preflight import check_recipe
    from vila2.cycle.preflight.specialists_preflight import check_specialists

    check_recipe(recipe)
    walk, cycle, history = _dry_walk(recipe, folder)
    check_specialists(cycle, history)
    return walk.plan


def _plan(recipe: Recipe, folder: Path) -> RunPlan:
    """Checks a recipe as :func:`_check` does, and finds what a dry run shows."""
    from vila2.cycle.preflight.disk_need import disk_need
    from vila2.cycle.preflight.recipe_preflight import look_at_recipe, model_in_outline
    from vila2.cycle.preflight.specialists_preflight import look_at_specialists

    sizes, samples, memory = look_at_recipe(recipe)
    walk, cycle, history = _dry_walk(recipe, folder)
    specialists = look_at_specialists(cycle, history)
    model, _ = model_in_outline(recipe)
    return {
        "plan": walk.plan,
        "sizes": sizes,
        "samples": samples,
        "memory": memory,
        "disk": disk_need(recipe, walk.plan, model, folder),
        "specialists": specialists,
    }


def _dry_walk(recipe: Recipe, folder: Path) -> tuple[Run, Cycle, History]:
    """Walks over all steps of a recipe, does none of them, and checks rounds and controls."""
    from vila2.cycle.preflight.controls_preflight import check_controls
    from vila2.cycle.preflight.rounds_preflight import check_rounds

    check_rounds(recipe)
    walk = Run.open(folder, dry=True)
    cycle, history = improve(recipe, walk)
    check_controls(recipe, history, do_controls(recipe, walk))
    return walk, cycle, history


def _do(recipe: Recipe, run: Run, processes: int) -> RunOutcome:
    """Does a recipe that has been checked."""
    from vila2.cycle.results import summary_notes, write_results
    from vila2.report.summary import summary_table

    run.keep_recipe(recipe)
    use_threads(recipe.threads)
    cycle, history = improve(
        recipe, run, processes=processes, after_rounds=lambda: _keep_models(recipe, run.folder)
    )
    controls = do_controls(recipe, run, processes=processes)
    results = write_results(cycle, history, controls, run.folder)
    run.need(history.outcome.model)
    _keep_models(recipe, run.folder)
    models = {one.name: checkpoint(one.model).folder for one in (*history.all_models, *controls.values())}
    final = history.outcome.name
    return {
        "report": str(run.folder / "report.html"),
        "summary": summary_table(results),
        "told": summary_notes(results, history, controls),
        "results": results,
        "model": {"name": final, "folder": link_model(run.folder, models[final])},
        "models": models,
        "datasets": {name: step.folder for name, step in cycle.data.items()},
        "layers": {name: step.folder for name, step in cycle.layers.items()},
    }


def _keep_models(recipe: Recipe, folder: Path) -> None:
    """Deletes the models that ``keep`` does not name. A dry walk finds what is still to do."""
    if recipe.keep == "all":
        return
    walk = Run.open(folder, dry=True)
    _, history = improve(recipe, walk)
    controls = do_controls(recipe, walk)
    keep_models(recipe, walk.plan, history, controls)


def use_threads(count: int | None) -> None:
    """Limits torch to this many CPU threads; None leaves the choice to torch."""
    if count is not None:
        import torch

        torch.set_num_threads(count)
