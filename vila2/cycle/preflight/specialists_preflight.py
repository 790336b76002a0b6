"""The specialists of a run, checked before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vila2.cycle.run_specialists import prepare_specialists, together
from vila2.errors import Vila2Error
from vila2.specialist.data_trial import try_data
from vila2.specialist.specialist_preflight import check_stages, looked_at, room_of, say_what_is_left_aside

if TYPE_CHECKING:
    from vila2.cycle.rounds import History
    from vila2.cycle.training import Cycle


def check_specialists(cycle: Cycle, history: History, *, show: bool = False) -> dict[str, Any]:
    """Whether a run's specialists can be made, before the rounds that come first.

    Args:
        cycle, history: of a dry walk.
        show: also find out what a dry run prints.

    Returns:
        Where ``show``, by plugin: see :func:`looked_at`.

    Raises:
        Vila2Error: what stands in the way, of all specialists together.
    """
    from vila2.specialist.cost import check_disk, free_on_disk
    from vila2.train.processes import processes_here

    say_what_is_left_aside(cycle.recipe)
    processes = processes_here(cycle.recipe.processes)
    done = {step.name for step in cycle.run.plan if step.state == "done"}
    jobs = prepare_specialists(cycle, history.best)
    found: dict[str, Any] = {}
    wrong: list[tuple[str, Vila2Error]] = []
    for name, job in jobs.items():
        if not show and f"build-{name}" in done:
            continue
        try:
            check_stages(job, processes)
            tried = try_data(job, count_on=show)
            found[name] = looked_at(job, tried, lambda: _of_run(cycle), processes, quick=not show)
        except Vila2Error as error:
            wrong.append((f"specialists.{name}", error))
    together(wrong)
    if show:
        return {name: one | {"free": free_on_disk(cycle.run.folder)} for name, one in found.items()}
    needed = sum(room_of(one["disk"]) for one in found.values())
    check_disk(needed, cycle.run.folder, f"specialists: {' and '.join(found)}")
    return {}


def _of_run(cycle: Cycle) -> tuple[Any, Any]:
    """The run's generalist in outline, at the resolution that it ends with."""
    from vila2.cycle.preflight.recipe_preflight import model_in_outline
    from vila2.model.resolution import set_image_size

    model, processor = model_in_outline(cycle.recipe)
    sizes = [stage.image_size for stage in cycle.recipe.stages.values() if stage.image_size]
    if sizes:
        set_image_size(model, processor, sizes[-1])
    return model, processor
