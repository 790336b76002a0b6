"""The model of a finished run: ``RUN/model``, made at the end of the run."""

from __future__ import annotations

import json
import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

from vila2.data.atomic import write_text_atomic
from vila2.errors import RunError
from vila2.run.step_files import read_done, step_folder

LINK = "model"
#: Files that tell a run's folder from a folder of photos that happens to have a subfolder ``steps``.
_MARKS = ("recipe.yaml", "progress.json", "lock")


def is_run(place: Path) -> bool:
    """Tells whether a folder is a run's. A specialist's folder is one, too."""
    try:
        return (place / "steps").is_dir() and any((place / mark).is_file() for mark in _MARKS)
    except OSError:
        return False


def link_model(run: Path, model: Path) -> Path:
    """Makes ``RUN/model`` lead to a model; an earlier link is replaced.

    On a file system without links, ``RUN/model`` becomes a file that holds the path, relative to the run. A
    folder of that name, which only a user can have made, is left alone.

    Args:
        run: folder of the run.
        model: folder of the model.

    Returns:
        The link, or the model's folder where no link was made.
    """
    link, target = run / LINK, os.path.relpath(model, run)
    if link.is_dir() and not link.is_symlink():
        return model
    new = run / f".{LINK}.{os.getpid()}.tmp"
    with suppress(FileNotFoundError):
        new.unlink()
    try:
        os.symlink(target, new)
        os.replace(new, link)
    except OSError:
        with suppress(OSError):
            new.unlink()
        write_text_atomic(link, target + "\n")
    return link


def run_model(run: Path) -> Path:
    """Finds the folder of a run's final model, or of a specialist's model.

    Raises:
        RunError: the run is not finished, or its model is gone.
    """
    found = _linked(run) or _of_specialist(run) or _of_results(run)
    if found is None:
        raise RunError(
            f"{run} is not finished, so it has no model yet",
            hint=f"`vila2 status {shlex.quote(str(run))}` shows how far it is; a single stage's model is "
            f"{run}/steps/STEP/model",
        )
    if not (found / "config.json").is_file():
        raise RunError(
            f"the model of {run} is gone: there is nothing at {found}",
            hint="`vila2 run` makes what is missing again; with keep: all in the recipe, no model is deleted",
        )
    return found


def _linked(run: Path) -> Path | None:
    link = run / LINK
    if link.is_symlink() or (link.is_dir() and (link / "config.json").is_file()):
        return link.resolve()
    if not link.is_file():
        return None
    text = link.read_text(encoding="utf-8", errors="replace").strip()
    return (run / text).resolve() if text else None


def _of_specialist(run: Path) -> Path | None:
    made = _read(run / "specialist.json")
    return (run / str(made["model"])).resolve() if "model" in made else None


def _of_results(run: Path) -> Path | None:
    """Finds the model of a run that is older than the link.

    It is the model of the last stage, in the round that the run's results call best.
    """
    from vila2.recipe.file.recipe_file import load_recipe

    best = str(_read(run / "results.json").get("best", ""))
    if not best.startswith("VILA_"):
        return None
    name = f"vila{best.removeprefix('VILA_')}-{list(load_recipe(run / 'recipe.yaml').stages)[-1]}"
    steps = [row for row in _read(run / "progress.json").get("steps", ()) if row.get("name") == name]
    # A control's steps have the names of the rounds' steps, and come after them.
    for row in steps:
        folder = step_folder(run, name, row["digest"])
        if read_done(folder):
            return (folder / "model").resolve()
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def named_model(name: str) -> str:
    """Returns a model's name as it is, or a run's folder as the folder of its model.

    As an input of a step, only the model of a run counts.
    """
    return str(run_model(Path(name))) if is_run(Path(name)) else name
