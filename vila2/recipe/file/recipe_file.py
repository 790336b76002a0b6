"""Recipe files: reads them with overrides, reports every problem with its line, and writes recipes back."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vila2.errors import RecipeError
from vila2.nearest import nearest
from vila2.recipe.checks.across import Options, cross_problems
from vila2.recipe.checks.problems import Problem, Where
from vila2.recipe.file.extends import Place, read_extended
from vila2.recipe.file.overrides import apply_override
from vila2.recipe.file.shape import keys_at
from vila2.recipe.file.type_errors import MISSING, NO_SUCH_KEY, follows, problem_of
from vila2.recipe.file.yaml import write_yaml
from vila2.recipe.recipe import CHECKED_ACROSS, Recipe

_SHOWN_PROBLEMS = 30
_LAST = 1 << 30  # problems with --set are reported after those of all files


def load_recipe(
    path: str | os.PathLike[str],
    overrides: Sequence[str] = (),
    *,
    known: Mapping[str, Collection[str]] | None = None,
    options: Options | None = None,
    environment: Mapping[str, str] | None = None,
) -> Recipe:
    """Reads a recipe and the recipes that it extends, and checks everything that needs no data.

    A relative path under ``data`` or ``model`` that exists beside the recipe is made absolute. Any other
    value is kept: it may be a hub id, a ``builtin:`` part, or a path from the working directory.

    Args:
        path: path of the YAML file.
        overrides: changes, ``a.b=c`` each; see :func:`vila2.recipe.file.overrides.apply_override`.
        known, options: names that exist outside the recipe; see
            :func:`vila2.recipe.checks.across.cross_problems`.
        environment: values for ``${VAR}``; by default the process's environment.

    Raises:
        RecipeError: the recipe has problems; each is a line ``file:line: key: what is wrong``.
    """
    raw = read_extended(Path(path), environment)
    sources = _Sources(str(path), raw.places)
    problems: list[Problem] = []
    for override in overrides:
        problems += apply_override(raw.value, override, sources.overridden, environment)
    unread = {problem.where for problem in [*problems, *(one for _, one in raw.problems)] if problem.final}
    recipe, found = check(raw.value, known, options)
    problems += without_what_follows(found, unread, raw.value)
    if recipe is None or problems or raw.problems:
        raise _report(problems, raw.problems, sources)
    return recipe


def check(
    raw: Any, known: Mapping[str, Collection[str]] | None = None, options: Options | None = None
) -> tuple[Recipe | None, list[Problem]]:
    """The recipe that plain values make, or None, and everything that is wrong with them, in no order.

    Args:
        raw: plain values of the recipe.
        known, options: names that exist outside the recipe; see
            :func:`vila2.recipe.checks.across.cross_problems`.
    """
    recipe, problems = None, []
    try:
        recipe = Recipe.model_validate(raw, context=CHECKED_ACROSS)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        problems = [problem_of(detail) for detail in details if not follows(detail)]
    return recipe, problems + cross_problems(raw, known, options)


def without_what_follows(problems: Sequence[Problem], unread: Collection[Where], raw: Any) -> list[Problem]:
    """The problems that do not follow from others.

    Args:
        problems: all problems that were found.
        unread: places whose values could not be read.
        raw: plain values of the recipe.
    """
    there = raw if isinstance(raw, Mapping) else {}
    known = keys_at(())
    meant = {nearest(str(key), known) for key in there if key not in known} - {None} - set(there)
    return [
        problem
        for problem in problems
        if (_is_of_the_key(problem) or not any(problem.where[: len(place)] == place for place in unread))
        # If a key is misspelled, its default counts, but that is not what the author has to fix.
        and not (
            _is_of(problem, meant) and not _is_of(problem, there) and not problem.what.startswith(MISSING)
        )
    ]


def _is_of(problem: Problem, keys: Collection[Any]) -> bool:
    return bool(problem.where) and problem.where[0] in keys


def _is_of_the_key(problem: Problem) -> bool:
    """Whether the key itself is wrong, whatever its value."""
    return problem.what.startswith(NO_SUCH_KEY)


def recipe_to_yaml(recipe: Recipe) -> str:
    """The recipe with every default, as YAML that ``load_recipe`` reads as an equal recipe."""
    return write_yaml(recipe.model_dump())


@dataclass(slots=True)
class _Sources:
    """The places where the keys of the raw recipe were written."""

    path: str
    places: Mapping[Where, Place]
    overridden: dict[Where, str]

    def __init__(self, path: str, places: Mapping[Where, Place]) -> None:
        self.path, self.places, self.overridden = path, places, {}

    def place(self, where: Where) -> Place:
        """The place of the nearest key at or above ``where`` that was written."""
        # The inner keys of an override are not where the files had them before.
        for end in range(len(where), -1, -1):
            if where[:end] in self.overridden:
                return Place(_LAST, 0, f"--set {self.overridden[where[:end]]}")
        for end in range(len(where), -1, -1):
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
    # An override without KEY=VALUE has no place in the recipe.
    lines = [
        f"{place}: {what}" if str(place) == f"--set {key}" else f"{place}: {key}: {what}"
        for place, key, what in found
    ]
    if len(lines) == 1:
        return RecipeError(lines[0], hint="nothing was run; fix it and give the command again")
    shown = [f"  {line}" for line in lines[:_SHOWN_PROBLEMS]]
    if len(lines) > _SHOWN_PROBLEMS:
        shown.append(f"  ... and {len(lines) - _SHOWN_PROBLEMS} more")
    return RecipeError(
        "\n".join([f"{len(lines)} problems in the recipe", *shown]),
        hint="nothing was run; fix them and give the command again",
    )
