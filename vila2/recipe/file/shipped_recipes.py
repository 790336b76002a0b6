"""Recipes that vila2 ships: ``builtin:NAME`` names one wherever the path of a recipe may stand."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from vila2.errors import RecipeError
from vila2.nearest import did_you_mean

SHIPPED = "builtin:"


def shipped_recipes() -> dict[str, Path]:
    """The files of all shipped recipes, by the name with which ``vila2 run`` takes them."""
    folder = Path(str(files("vila2.recipe"))) / "shipped"
    return {f"{SHIPPED}{file.stem}": file for file in sorted(folder.glob("*.yaml"))}


def located(path: Path) -> Path:
    """The file of a recipe that may be a shipped one.

    Raises:
        RecipeError: no recipe of that name is shipped.
    """
    name = str(path)
    if not name.startswith(SHIPPED):
        return path
    known = shipped_recipes()
    if name not in known:
        raise RecipeError(f"{name}: vila2 ships no such recipe", hint=did_you_mean(name, known))
    return known[name]


def summary_of(file: Path) -> str:
    """What a recipe is for: the first comment in it."""
    first, _, _ = file.read_text(encoding="utf-8").partition("\n")
    return first.removeprefix("#").strip()
