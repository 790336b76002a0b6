"""The pre-flight of a specialist: its data gives samples, the model can be trained on them, there is room.

A dry run also learns what will happen: data, settings and the reasons for them, a sample of each stage in
tokens, memory, disk and time.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from vila2.run.step_files import PlannedStep, StepResult
from vila2.run.steps import Run
from vila2.specialist.data_trial import try_data
from vila2.specialist.making import make
from vila2.specialist.specialist_forecast import Forecast, forecast
from vila2.specialist.specialist_job import Job
from vila2.train.sample_tokens import SampleTokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

    from vila2.recipe.recipe import Recipe

log = logging.getLogger("vila2.specialist")


class SpecialistPlan(TypedDict):
    """What a dry run finds.

    Attributes:
        plan: steps, in order.
        samples: one sample in tokens, by stage.
        memory: bytes on one device, by stage and purpose; None where they cannot be told.
        specialist: forecast of the specialist.
    """

    plan: list[PlannedStep]
    samples: dict[str, SampleTokens]
    memory: dict[str, dict[str, int | None]]
    specialist: Forecast


def preflight_specialist(job: Job, folder: Path) -> SpecialistPlan:
    """Checks everything that can be checked before the work; writes nothing.

    Args:
        job: what the specialist is made of.
        folder: folder that it goes to.

    Raises:
        Vila2Error: what would go wrong.
    """
    from vila2.specialist.cost import free_on_disk
    from vila2.train.processes import processes_here

    processes = processes_here("auto")
    check_stages(job, processes)
    plan = Run.open(folder, dry=True)
    make(job, plan)
    found = forecast(job, try_data(job, count_on=True), lambda: _from_checkpoint(job), processes)
    found["free"] = free_on_disk(folder)
    return {
        "plan": plan.plan,
        "samples": found.pop("samples"),
        "memory": found.pop("memory"),
        "specialist": found,
    }


def check_before_work(job: Job, folder: Path, done: Collection[str]) -> None:
    """Checks that a specialist can be made; writes nothing.

    Args:
        job: what the specialist is made of.
        folder: folder that it goes to.
        done: names of its finished steps.

    Raises:
        Vila2Error: what stands in the way.
    """
    from vila2.specialist.cost import check_disk
    from vila2.train.processes import processes_here

    if f"build-{job.name}" in done:
        return
    processes = processes_here("auto")
    check_stages(job, processes)
    found = forecast(job, try_data(job), lambda: _from_checkpoint(job), processes, quick=True)
    check_disk(bytes_on_disk(found["disk"]), folder, f"the specialist {job.name!r}")


def _from_checkpoint(job: Job) -> tuple[PreTrainedModel, ProcessorMixin]:
    from vila2.model.outline import outline

    start = job.origin.start(job.recipe.start)
    return outline(start.folder if isinstance(start, StepResult) else start)


def check_stages(job: Job, processes: int) -> None:
    """Checks that this machine has what the stages need.

    Args:
        job: what the specialist is made of.
        processes: number of processes that train together.

    Raises:
        TrainingError: something is missing.
    """
    from vila2.train.stage_checks import check_stage

    for stage in job.recipe.stages.values():
        check_stage(stage, processes)


def warn_of_unused_settings(recipe: Recipe) -> None:
    """Warns of settings for specialists that were made before: they are neither built nor trained here."""
    for name, use in recipe.specialists.items():
        unused = [key for key in ("recipe", "data", "set") if getattr(use, key)]
        if use.made and unused:
            log.warning(
                "specialists.%s: it was made before, so these keys count for nothing: %s",
                name,
                ", ".join(unused),
            )


def bytes_on_disk(disk: Mapping[str, int | None]) -> int:
    """Adds up the bytes of a specialist on disk, as far as they are known."""
    return sum(size or 0 for size in disk.values())
