"""What lies in a step's folder, and how it is kept."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vila2.errors import RunError
from vila2.run.digests import canonical_json

_FOLDER_DIGITS = 12

#: Says in a step's folder what of its output was deleted once nothing needed it any more.
PRUNED = "pruned.json"


def step_folder(run: Path, name: str, digest: str) -> Path:
    """Where a step of this name and digest puts its output."""
    return run / "steps" / f"{name}-{digest[:_FOLDER_DIGITS]}"


def read_done(folder: Path, digest: str | None = None) -> dict[str, Any] | None:
    """What a step's ``done.json`` holds, or None where it is not done.

    Raises:
        RunError: the file is damaged, or belongs to another step.
    """
    path = folder / "done.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RunError(
            f"{path} is damaged ({error})", hint=f"delete {folder} to do the step again"
        ) from error
    if not isinstance(data, dict) or "results" not in data or digest not in (None, data.get("digest")):
        raise RunError(f"{path} does not belong to this step", hint=f"delete {folder} to do the step again")
    return data


def plain(value: dict[str, Any], what: str) -> dict[str, Any]:
    """The value as it is after a turn through JSON, so that first and later runs see the same."""
    try:
        return json.loads(canonical_json(value))
    except (TypeError, ValueError) as error:
        raise RunError(
            f"{what} can not be kept as JSON: {error}",
            hint="give texts, finite numbers, lists and mappings of them",
        ) from error


def settle(folder: Path) -> None:
    """Forces a step's files to disk, so that no power cut leaves ``done.json`` without them."""
    for above, _, names in os.walk(folder):
        for path in (above, *(os.path.join(above, name) for name in names)):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step is known by, and what it gave.

    Attributes:
        name: of the step.
        digest: of its function, settings and inputs.
        folder: where its output lies.
        results: what its function returned; empty where it has not run (``done`` is False).
        done: whether it has run.
    """

    name: str
    digest: str
    folder: Path
    results: Mapping[str, Any]
    done: bool


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step as a run met it: done before, begun before (partial), still to do, or to do again: its model was pruned.

    Attributes:
        function: its full name.
        inputs: digests of what it works on, among them those of other steps.
    """

    name: str
    digest: str
    folder: Path
    state: Literal["done", "partial", "pending", "again"]
    function: str = ""
    inputs: frozenset[str] = frozenset()
