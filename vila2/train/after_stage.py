"""Tells plugins of trained stages: after the stage is finished, so that no plugin can undo it."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from vila2.data.atomic import write_json_atomic
from vila2.errors import Vila2Error
from vila2.plugin.host import Host
from vila2.run.step_files import StepResult

log = logging.getLogger("vila2.plugin")

#: File in a stage's folder with the names of the plugins that were told of it.
TOLD = "after_stage.json"


def tell_plugins(plugins: Sequence[str], stage: str, trained: StepResult) -> None:
    """Tells each plugin once that a stage is trained. A plugin that fails is told again by the next run.

    Args:
        plugins: names of the plugins that the recipe lists.
        stage: name of the stage.
        trained: finished step of the stage.
    """
    file: Path = trained.folder / TOLD
    told: list[str] = json.loads(file.read_bytes()) if file.exists() else []
    for name in plugins:
        if name in told:
            continue
        try:
            Host().after_stage(name, folder=trained.folder, stage=stage, results=dict(trained.results))
        except Vila2Error as error:
            log.warning(
                "stage %r is trained and kept, but a plugin failed after it: %s\n"
                "  the same command calls the plugin again, and nothing else of the stage",
                stage,
                error,
            )
            continue
        told.append(name)
        write_json_atomic(file, told)
