"""Deleting models of finished steps that nothing starts from any more: ``keep`` of a recipe.

RUN/steps/NAME-DIGEST/pruned.json    written before a step's model is deleted; its other files and its results stay
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vila2.data.atomic import write_json_atomic
from vila2.run.step_files import PRUNED

if TYPE_CHECKING:
    from vila2.run.step_files import PlannedStep

MODEL = "model"


def prune(plan: Sequence[PlannedStep], keep: Collection[Path], *, why: str) -> dict[str, int]:
    """Deletes the models of a plan's finished steps, but for those to keep and those that an unfinished step starts from.

    Args:
        plan: of a dry walk over all steps of a run, those to come among them.
        keep: folders of steps whose models stay.
        why: for a reader of ``pruned.json``.

    Returns:
        The bytes that were freed, by step.
    """
    needed = {digest for step in plan if step.state != "done" for digest in step.inputs}
    freed: dict[str, int] = {}
    for step in {step.folder: step for step in plan}.values():
        model = step.folder / MODEL
        if step.state != "done" or step.folder in keep or step.digest in needed:
            continue
        if not model.is_dir() or model.is_symlink():
            continue
        freed[step.name] = size_of(model)
        told = {"deleted": [MODEL], "bytes": freed[step.name], "why": why}
        # First said, then done: a model that is deleted in part must not be taken for one.
        write_json_atomic(step.folder / PRUNED, told | {"when": time.strftime("%Y-%m-%dT%H:%M:%S%z")})
        shutil.rmtree(model)
    return freed


def is_pruned(step: Path) -> bool:
    """Whether the model of a finished step was deleted."""
    return (step / PRUNED).is_file()


def size_of(folder: Path) -> int:
    """Bytes on disk that are of this folder alone: a file under a second name elsewhere takes none."""
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum(file.st_size for file in files if file.st_nlink == 1)
