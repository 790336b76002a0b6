"""Checks the specialists of a run before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vila2.cycle.run_specialists import prepare_specialists, together
from vila2.errors import Vila2Error
from vila2.specialist.cost import check_disk, free_on_disk
from vila2.specialist.data_trial import try_data
from vila2.specialist.specialist_forecast import Forecast, forecast
from vila2.specialist.specialist_preflight import bytes_on_disk, check_stages, warn_of_unused_settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

    from vila2.cycle.rounds import History
    from vila2.cycle.training import Cycle


def check_specialists(cycle: Cycle, history: History) -> None:
    """Checks that a run's specialists can be made, before the rounds that come first.

    Args:
        cycle: recipe under way, in a dry walk.
        history: rounds of the same walk.

    Raises:
        Vila2Error: what stands in the way, of all specialists together.
    """
    finished = {step.name for step in cycle.run.plan if step.state == "done"}
    done = {name for name in cycle.recipe.specialists if f"build-{name}" in finished}
    found = _forecasts(
        cycle, history, done={name for name in cycle.recipe.specialists if f"build-{name}" in done}
    )
    needed = sum(bytes_on_disk(one["disk"]) for one in found.values())
    check_disk(needed, cycle.run.folder, f"specialists: {' and '.join(found)}")


def look_at_specialists(cycle: Cycle, history: History) -> dict[str, Forecast]:
    """Checks a run's specialists, and finds what a dry run shows of them.

    Args:
        cycle: recipe under way, in a dry walk.
        history: rounds of the same walk.

    Returns:
        Forecasts by plugin.

    Raises:
        Vila2Error: what stands in the way, of all specialists together.
    """
    found = _forecasts(cycle, history)
    for one in found.values():
        one["free"] = free_on_disk(cycle.run.folder)
    return found


def _forecasts(cycle: Cycle, history: History, done: set[str] | None = None) -> dict[str, Forecast]:
    """Forecasts every specialist.

    Args:
        cycle: recipe under way.
        history: rounds of the same walk.
        done: plugins whose data is built, which are skipped; then the others are only looked at for what
            would stop them. None: everything is looked at in full.
    """
    from vila2.train.processes import processes_together

    quick = done is not None
    warn_of_unused_settings(cycle.recipe)
    processes = processes_together(cycle.recipe.processes)
    found: dict[str, Forecast] = {}
    wrong: list[tuple[str, Vila2Error]] = []
    for name, job in prepare_specialists(cycle, history.best).items():
        if name in (done or ()):
            continue
        try:
            check_stages(job, processes)
            tried = try_data(job, count_on=not quick)
            found[name] = forecast(job, tried, lambda: _generalist_in_outline(cycle), processes, quick=quick)
        except Vila2Error as error:
            wrong.append((f"specialists.{name}", error))
    together(wrong)
    return found


def _generalist_in_outline(cycle: Cycle) -> tuple[PreTrainedModel, ProcessorMixin]:
    """The run's generalist in outline, at the resolution that it ends with, and its processor."""
    from vila2.cycle.preflight.recipe_preflight import model_in_outline
    from vila2.model.resolution import set_image_size

    model, processor = model_in_outline(cycle.recipe)
    sizes = [stage.image_size for stage in cycle.recipe.stages.values() if stage.image_size]
    if sizes:
        set_image_size(model, processor, sizes[-1])
    return model, processor
