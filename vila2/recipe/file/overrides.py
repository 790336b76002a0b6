"""Overrides from the command line, such as ``stages.sft.epochs=2``, applied to a recipe's plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_origin

from vila2.errors import RecipeError
from vila2.nearest import did_you_mean
from vila2.recipe.checks.problems import Problem, Where
from vila2.recipe.file.shape import keys_at, suggest_key, takes_null, type_at
from vila2.recipe.file.yaml import read_setting


def apply_override(
    raw: dict[str, Any],
    override: str,
    overridden: dict[Where, str],
    environment: Mapping[str, str] | None = None,
) -> list[Problem]:
    """Applies one override to a raw recipe, in place.

    Args:
        raw: plain values of the recipe; changed.
        override: ``a.b=c``; ``c`` is a word, a number, ``[...]`` or ``{...}``, and a number in the path
            counts a list from 0; ``null`` removes a key unless null is a valid value of it.
        overridden: texts of overrides by their paths, for error messages; the override is added.
        environment: values for ``${VAR}`` in the value.

    Returns:
        Problems with the form, the path or the text. The value is checked with the rest of the recipe.
    """
    path, equals, text = override.partition("=")
    if not equals or not all(path.strip().split(".")):
        overridden[override,] = override
        return [Problem((override,), "not of the form key=value; write for example --set seed=1", final=True)]
    where: Where = tuple(int(part) if part.isdigit() else part for part in path.strip().split("."))
    overridden[where] = override
    try:
        marked = read_setting(text, where="", environment=environment)
    except RecipeError as error:
        what = re.sub(r"^(:\d+)?: ", "", error.what)
        return [Problem(where, f"{what}; {error.hint}", final=True)]
    problems = [Problem((*where, *problem.where), problem.what, problem.final) for problem in marked.problems]
    made: list[Where] = []
    holder, problem = _holder(raw, where, made)
    overridden.update(dict.fromkeys(made, override))
    if problem:
        overridden[problem.where] = override
        return [*problems, problem]
    if marked.value is None and isinstance(holder, dict) and not takes_null(where):
        holder.pop(where[-1], None)
    else:
        holder[where[-1]] = marked.value
    return problems


def _holder(raw: Any, where: Where, made: list[Where]) -> tuple[Any, Problem | None]:
    """The mapping or list that holds the last key of ``where``; new mappings are added to ``made``."""
    value = raw
    for depth, key in enumerate(where):
        here, last = where[: depth + 1], depth == len(where) - 1
        if isinstance(value, list):
            if not isinstance(key, int) or key >= len(value):
                return None, Problem(here, f"the list has {len(value)} entries: count from 0")
        else:
            problem = _missing(value, here, last)
            if problem:
                return None, problem
        if last:
            return value, None
        if isinstance(value, dict) and value.get(key) is None:
            value[key] = {}
            made.append(here)
        value = value[key]
    raise AssertionError("a path has at least one key")


def _missing(value: Any, here: Where, last: bool) -> Problem | None:
    """The problem if ``here`` can be neither reached nor made, or None."""
    if not isinstance(value, dict):
        return Problem(here[:-1], f"holds {value!r}, which has no keys")
    above, key = type_at(here[:-1]), here[-1]
    if above is Any or above == dict[str, Any] or key in value or key in keys_at(here[:-1]):
        return None
    if get_origin(above) is dict:
        # A name that the user chooses: a new one can be added as a whole, but not from inside.
        return None if last else Problem(here, f"there is no {key!r} here; {did_you_mean(str(key), value)}")
    return Problem(here, f"there is no such key; {suggest_key(here)}")
