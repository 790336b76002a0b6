"""The circumstances of a run: when its steps finished, how long they took, and on what machine.

They stand beside the results and not in them: the same recipe gives the same ``results.json`` on any day.

RUN/facts.json    machine, versions and commit; written when a run's results are
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from vila2.data.atomic import write_json_atomic
from vila2.errors import RunError
from vila2.report.machine import Machine, installed_versions, this_machine, vila2_commit
from vila2.report.value import Value
from vila2.run.step_files import read_done, step_folder

#: File of the facts in the folder of a run.
FACTS_FILE = "facts.json"


class StepTime(Value):
    """How long a step took, and when it finished (ISO 8601).

    Attributes:
        name: name of the step.
        seconds: duration of the attempt that finished it.
        finished: time when it finished.
    """

    name: str
    seconds: float
    finished: str


class Circumstances(Value):
    """What ``facts.json`` holds.

    Attributes:
        finished: time when the last step finished; the facts hold until a later step does.
        machine: machine that the run finished on.
        versions: version of each package.
        commit: commit of vila2, if known.
    """

    finished: str | None
    machine: Machine
    versions: dict[str, str]
    commit: str | None = None


class RunFacts(Value):
    """Everything the page says about how a run was made.

    Attributes:
        steps: finished steps of the run, in the order in which they finished.
        made: what was noted when the results were written; None for a run that noted nothing.
    """

    steps: tuple[StepTime, ...] = ()
    made: Circumstances | None = None

    @property
    def finished(self) -> str | None:
        """The time when the last step finished."""
        return self.steps[-1].finished if self.steps else None


def record_facts(folder: Path) -> RunFacts:
    """Notes the machine and the software in ``facts.json``, and returns all facts.

    A run that had nothing left to do keeps what was noted: this machine did not make it.

    Args:
        folder: folder of the run.
    """
    facts = read_facts(folder)
    if facts.made is not None and facts.made.finished == facts.finished:
        return facts
    made = Circumstances(
        finished=facts.finished,
        machine=this_machine(),
        versions=installed_versions(),
        commit=vila2_commit(),
    )
    write_json_atomic(folder / FACTS_FILE, made.model_dump(mode="json"))
    return RunFacts(steps=facts.steps, made=made)


def read_facts(folder: Path) -> RunFacts:
    """What the folder of a run tells; what is missing or unreadable is left out.

    Args:
        folder: folder of the run.
    """
    try:
        made = Circumstances.model_validate_json((folder / FACTS_FILE).read_bytes())
    except (OSError, ValidationError):
        made = None
    times = [time for step in _step_folders(folder) if (time := _step_time(step)) is not None]
    return RunFacts(steps=tuple(sorted(times, key=lambda time: _instant(time.finished))), made=made)


def _step_folders(folder: Path) -> list[Path]:
    """The steps of the last run; where it left no list, all that lie there."""
    try:
        steps = json.loads((folder / "progress.json").read_text(encoding="utf-8"))["steps"]
        return [step_folder(folder, step["name"], step["digest"]) for step in steps]
    except (OSError, ValueError, LookupError, TypeError):
        return sorted((folder / "steps").glob("*"))


def _step_time(folder: Path) -> StepTime | None:
    try:
        done = read_done(folder)
        if done is None:
            return None
        _instant(done["finished"])
        return StepTime(name=done["name"], seconds=done["seconds"], finished=done["finished"])
    except (OSError, RunError, LookupError, TypeError, ValueError):
        return None


def _instant(finished: str) -> datetime:
    return datetime.strptime(finished, "%Y-%m-%dT%H:%M:%S%z")
