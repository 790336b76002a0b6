"""Tells plugins of trained stages: after the stage is finished, so that no plugin can undo it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from vila2.data.atomic import write_json_atomic
from vila2.errors import Vila2Error
from vila2.plugin.host import Host
from vila2.run.step_files import StepResult

log = logging.getLogger("vila2.plugin")

#: File in a stage's folder with the names of the plugins that were told of it.
TOLD = "after_stage.json"
#: File in a stage's folder with what went wrong in the plugins that failed after it, by their names.
FAILED = "after_stage_failed.json"
_AGAIN = "the same command calls the plugin again, and nothing else of the stage"


def tell_plugins(plugins: Sequence[str], stage: str, trained: StepResult) -> None:
    """Tells each plugin once that a stage is trained. A plugin that fails is told again by the next run.

    Args:
        plugins: names of the plugins that the recipe lists.
        stage: name of the stage.
        trained: finished step of the stage.
    """
    file: Path = trained.folder / TOLD
    told: list[str] = json.loads(file.read_bytes()) if file.exists() else []
    failed: dict[str, str] = {}
    for name in plugins:
        if name in told:
            continue
        try:
            Host().after_stage(name, folder=trained.folder, stage=stage, results=dict(trained.results))
        except Vila2Error as error:
            log.warning(
                "stage %r is trained and kept, but a plugin failed after it: %s\n  %s", stage, error, _AGAIN
            )
            failed[name] = error.what
            continue
        told.append(name)
        write_json_atomic(file, told)
    if failed:
        write_json_atomic(trained.folder / FAILED, failed)
    else:
        (trained.folder / FAILED).unlink(missing_ok=True)


def failed_notes(stages: Mapping[str, StepResult], whose: str) -> dict[str, str]:
    """Sentences about the plugins that failed after trained stages, by the stages' digests.

    Args:
        stages: trained stages of a model, by name.
        whose: words before a stage's name, such as "VILA_0, stage".
    """
    notes = {}
    for name, trained in stages.items():
        if (trained.folder / FAILED).exists():
            failed: dict[str, str] = json.loads((trained.folder / FAILED).read_bytes())
            said = "; ".join(one.rstrip(".") for one in failed.values())
            notes[trained.digest] = f"After {whose} {name!r}, a plugin failed: {said}; {_AGAIN}."
    return notes
