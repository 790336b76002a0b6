"""The step that trains one stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vila2.progress import Progress
from vila2.run.step_kinds import Inputs, step_kind
from vila2.train.train_settings import TrainSettings


@step_kind("train", TrainSettings, digested_as="vila2.cycle.work.train", place="trainer")
def train(folder: Path, settings: TrainSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Trains one stage, on several processes if the settings say so.

    See :func:`vila2.train.stage.train_stage`.
    """
    from vila2.train.processes import train_in_processes
    from vila2.train.stage import train_stage

    if settings.processes > 1:
        return train_in_processes(folder, settings, inputs, progress)
    return train_stage(folder, settings, inputs, progress)
