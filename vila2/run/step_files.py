"""The files of a step's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from vila2.data.parsing import described
from vila2.errors import RunError
from vila2.run.digests import canonical_json

_FOLDER_DIGITS = 12

#: File in a step's folder that says which part of the output was deleted because nothing needed it any more.
PRUNED = "pruned.json"


class StepRecord(TypedDict):
    """What a step's digest is made of, under the step's name.

    Attributes:
        name: name of the step; not part of the digest.
        function: name of the kind, as digests have it.
        version: version of the work.
        settings: settings, without those that no output depends on.
        inputs: digests of the inputs, by name.
    """

    name: str
    function: str
    version: int
    settings: dict[str, Any]
    inputs: dict[str, str]


class DoneRecord(StepRecord):
    """The content of ``done.json``.

    Attributes:
        digest: digest of the step.
        results: what the work returned.
        seconds: time that the step took.
        finished: date and time of its end.
    """

    digest: str
    results: dict[str, Any]
    seconds: float
    finished: str


def step_folder(run: Path, name: str, digest: str) -> Path:
    """Returns the folder that holds the output of a step."""
    return run / "steps" / f"{name}-{digest[:_FOLDER_DIGITS]}"


def read_done(folder: Path, digest: str | None = None) -> DoneRecord | None:
    """Reads a step's ``done.json``.

    Args:
        folder: folder of the step.
        digest: digest that the step must have; any by default.

    Returns:
        The record, or None where the step is not done.

    Raises:
        RunError: the file is damaged, or belongs to another step.
    """
    path = folder / "done.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{path} is damaged ({described(error)})", hint=f"delete {folder} to do the step again"
        ) from error
    if not isinstance(data, dict) or "results" not in data or digest not in (None, data.get("digest")):
        raise RunError(f"{path} does not belong to this step", hint=f"delete {folder} to do the step again")
    return cast(DoneRecord, data)


def read_results(folder: Path) -> Mapping[str, Any]:
    """Reads the results of a finished step.

    Raises:
        RunError: the step is not finished, or its ``done.json`` is damaged.
    """
    done = read_done(folder)
    if done is None:
        raise RunError(f"{folder} is not finished", hint="give the command of its run again")
    return done["results"]


def plain(value: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Sends a value through JSON and back. So the run that makes it and later runs see the same.

    Args:
        value: value with texts as keys.
        what: name of the value, for errors.

    Raises:
        RunError: JSON has no form for it.
    """
    try:
        return dict(json.loads(canonical_json(value)))
    except (TypeError, ValueError) as error:
        raise RunError(
            f"{what} cannot be kept as JSON: {error}",
            hint="give texts, finite numbers, lists and mappings of them",
        ) from error


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step and its result.

    Attributes:
        name: name of the step.
        digest: digest of its kind, settings and inputs.
        folder: folder of its output.
        results: what its work returned; empty where it has not run (``done`` is False).
        done: whether it has run.
    """

    name: str
    digest: str
    folder: Path
    results: Mapping[str, Any]
    done: bool


PlannedState = Literal["done", "partial", "pending", "again"]


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step as a run met it.

    Attributes:
        name: name of the step.
        digest: digest of its kind, settings and inputs.
        folder: folder of its output.
        state: "done": finished before; "partial": begun before; "pending": not begun; "again": finished
            before, but its model was pruned and is needed.
        function: name of its kind, as digests have it.
        inputs: digests of its inputs, those of other steps among them.
    """

    name: str
    digest: str
    folder: Path
    state: PlannedState
    function: str = ""
    inputs: frozenset[str] = frozenset()
