"""Pruning: deletes models of finished steps that nothing starts from any more (``keep`` of a recipe).

RUN/steps/NAME-DIGEST/pruned.json    written before a step's model is deleted; the other files and the results
stay
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

#: Folder of the model in a step's folder.
MODEL = "model"


def prune(plan: Sequence[PlannedStep], keep: Collection[Path], *, why: str) -> dict[str, int]:
    """Deletes models of finished steps, except those to keep and those that an unfinished step starts from.

    Args:
        plan: all steps of the run, finished and unfinished, as a dry walk found them.
        keep: folders of the steps whose models stay.
        why: reason of the deletion, for readers of ``pruned.json``.

    Returns:
        Bytes freed, by name of the step.
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
        note = {"deleted": [MODEL], "bytes": freed[step.name], "why": why}
        # The note comes first: a model that is half deleted must not pass for a whole one.
        write_json_atomic(step.folder / PRUNED, note | {"when": time.strftime("%Y-%m-%dT%H:%M:%S%z")})
        shutil.rmtree(model)
    return freed


def is_pruned(step: Path) -> bool:
    """Tells whether the model of a finished step was deleted."""
    return (step / PRUNED).is_file()


def size_of(folder: Path) -> int:
    """Counts the bytes on disk that belong to a folder alone.

    A file that has a second name elsewhere takes no bytes here.
    """
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum(file.st_size for file in files if file.st_nlink == 1)
