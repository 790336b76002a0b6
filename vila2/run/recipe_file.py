"""Recipes in files: reading with overrides, every problem at its line, and writing back."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from vila2.errors import RecipeError
from vila2.run.recipe import Recipe
from vila2.run.recipe_checks import cross_problems
from vila2.run.recipe_extends import Place, read_extended
from vila2.run.recipe_overrides import apply_override
from vila2.run.recipe_problems import Problem, Where
from vila2.run.recipe_shape import describe, keys_at, suggest_key, suggest_value
from vila2.run.recipe_yaml import write_yaml

_SHOWN_PROBLEMS = 30
_LAST = 1 << 30  # settings on the command line are told after all files


def load_recipe(
    path: str | os.PathLike[str],
    overrides: Sequence[str] = (),
    *,
    known: Mapping[str, Collection[str]] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Recipe:
    """Reads a recipe, with those it extends, and checks all that can be checked without touching the data.

    A relative path under ``data`` or ``model`` that exists beside the recipe is taken from there;
    otherwise it stays as it is: a hub id, a ``builtin:`` part, or a path from the working directory.

    Args:
        path: of the YAML file.
        overrides: ``a.b=c`` each; see :func:`vila2.run.recipe_overrides.apply_override`.
        known: names that exist outside the recipe, ``source`` and ``prompt``; absent ones are not checked.
        environment: for ``${VAR}``; by default the process's.

    Raises:
        RecipeError: with every problem as ``file:line: key: what is wrong``.
    """
    raw = read_extended(Path(path), environment)
    sources = _Sources(str(path), raw.places)
    problems: list[Problem] = []
    for override in overrides:
        problems += apply_override(raw.value, override, sources.overridden, environment)
    problems += find_problems(raw.value, known)
    if problems or raw.problems:
        raise _report(problems, raw.problems, sources)
    return Recipe.model_validate(raw.value)


def find_problems(raw: Any, known: Mapping[str, Collection[str]] | None = None) -> list[Problem]:
    """Everything wrong with the plain values of a recipe, in no order."""
    problems = []
    try:
        Recipe.model_validate(raw)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        problems = [problem_of(detail) for detail in details if not _told_elsewhere(detail)]
    return problems + cross_problems(raw, known)


def _told_elsewhere(detail: Any) -> bool:
    # Entries with problems of their own are not counted, and then the list seems too short.
    too_short = detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]
    return too_short or detail["type"] == "across"


def recipe_to_yaml(recipe: Recipe) -> str:
    """The recipe with every default written out, as YAML that ``load_recipe`` reads to an equal value."""
    return write_yaml(recipe.model_dump())


@dataclass(slots=True)
class _Sources:
    """Where each key of the raw recipe was written."""

    path: str
    places: Mapping[Where, Place]
    overridden: dict[Where, str]

    def __init__(self, path: str, places: Mapping[Where, Place]) -> None:
        self.path, self.places, self.overridden = path, places, {}

    def place(self, where: Where) -> Place:
        """The nearest written key at or above ``where``."""
        for end in range(len(where), -1, -1):
            if where[:end] in self.overridden:
                return Place(_LAST, 0, f"--set {self.overridden[where[:end]]}")
            if where[:end] in self.places:
                return self.places[where[:end]]
        return Place(0, 1, self.path)


def _report(
    problems: Sequence[Problem], placed: Sequence[tuple[Place, Problem]], sources: _Sources
) -> RecipeError:
    found = sorted(
        {
            (place, ".".join(map(str, problem.where)) or "recipe", problem.what)
            for place, problem in [*((sources.place(p.where), p) for p in problems), *placed]
        }
    )
    lines = [f"{place}: {key}: {what}" for place, key, what in found]
    if len(lines) == 1:
        return RecipeError(lines[0], mend="nothing was run; mend it and give the command again")
    shown = [f"  {line}" for line in lines[:_SHOWN_PROBLEMS]]
    if len(lines) > _SHOWN_PROBLEMS:
        shown.append(f"  ... and {len(lines) - _SHOWN_PROBLEMS} more")
    return RecipeError(
        "\n".join([f"{len(lines)} problems in the recipe", *shown]),
        mend="nothing was run; mend them and give the command again",
    )


def problem_of(detail: Any, root: type[BaseModel] = Recipe) -> Problem:
    """One of pydantic's errors in the words of a recipe, or of another ``root``."""
    where = tuple(part for part in detail["loc"] if part != "[key]")
    message = detail["msg"].removeprefix("Input ").removeprefix("Value error, ")
    match detail["type"]:
        case "extra_forbidden":
            return Problem(where, f"there is no such key; {suggest_key(where, root)}")
        case "missing":
            return Problem(where, f"is missing ({describe(where, root)})")
        case "literal_error":
            return Problem(where, f"{detail['input']!r} {suggest_value(where, detail['input'], root)}")
        case "string_pattern_mismatch":
            return Problem(where, f"{detail['input']!r} is no name: use letters, digits, - and _")
        case "model_type" | "dict_type":
            return Problem(
                where, f"should be a mapping of keys, not {_shown(detail['input'])}{_keys_hint(where, root)}"
            )
        case "too_short":
            return Problem(where, f"needs at least {detail['ctx']['min_length']} entry")
        case "string_too_short":
            return Problem(where, "is empty")
        case "tuple_type":
            return Problem(where, f"should be a list, not {_shown(detail['input'])}")
    return Problem(where, f"{message}, not {_shown(detail['input'])}")


def _keys_hint(where: Where, root: type[BaseModel]) -> str:
    keys = keys_at(where, root)
    return f"; its keys are {', '.join(keys)}" if keys else ""


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
