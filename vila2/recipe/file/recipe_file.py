"""Recipe files: reads them with overrides, reports every problem with its line, and writes recipes back."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vila2.errors import RecipeError
from vila2.nearest import nearest
from vila2.recipe.checks.across import Options, cross_problems
from vila2.recipe.checks.problems import Problem, Where
from vila2.recipe.file.extends import Place, read_extended
from vila2.recipe.file.overrides import apply_override
from vila2.recipe.file.shape import describe, keys_at, suggest_key, suggest_value, takes_null, type_at
from vila2.recipe.file.yaml import write_yaml
from vila2.recipe.recipe import CHECKED_ACROSS, Recipe

_SHOWN_PROBLEMS = 30
_MISSING = "is missing"
_NO_SUCH_KEY = "there is no such key"
#: Characters from word processors and web pages that look like a space or are invisible.
_LOOKALIKES = {
    "\u00a0": "a no-break space",
    "\u2007": "a figure space",
    "\u202f": "a narrow no-break space",
    "\u3000": "an ideographic space",
    "\u200b": "a zero-width space",
    "\ufeff": "a byte-order mark",
}
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
            _is_of(problem, meant) and not _is_of(problem, there) and not problem.what.startswith(_MISSING)
        )
    ]


def _is_of(problem: Problem, keys: Collection[Any]) -> bool:
    return bool(problem.where) and problem.where[0] in keys


def _is_of_the_key(problem: Problem) -> bool:
    """Whether the key itself is wrong, whatever its value."""
    return problem.what.startswith(_NO_SUCH_KEY)


def follows(detail: ErrorDetails) -> bool:
    """Whether one of pydantic's errors only follows from others."""
    # pydantic does not count entries that have problems, so the list may only seem too short.
    if detail["type"] != "too_short":
        return False
    return bool(len(detail["input"]) >= detail["ctx"]["min_length"])


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


def problem_of(detail: ErrorDetails, root: type[BaseModel] = Recipe) -> Problem:
    """One of pydantic's errors as a problem of a recipe, or of another ``root``."""
    where = tuple(part for part in detail["loc"] if part != "[key]")
    message = detail["msg"].removeprefix("Input ").removeprefix("Value error, ")
    match detail["type"]:
        case "extra_forbidden":
            if re.fullmatch(r"\d+([eE][-+]?\d+)?", str(where[-1])):
                what = "a decimal comma ends the value before it: write a point"
                return Problem(where, f"{_NO_SUCH_KEY}; {what}")
            if strange := next(
                (name for letter, name in _LOOKALIKES.items() if letter in str(where[-1])), None
            ):
                return Problem(where, f"{_NO_SUCH_KEY}; it holds {strange}: write it anew with plain spaces")
            return Problem(where, f"{_NO_SUCH_KEY}; {suggest_key(where, root)}")
        case "missing":
            return Problem(where, f"{_MISSING} ({describe(where, root)})")
        case "literal_error":
            return Problem(where, f"{detail['input']!r} {suggest_value(where, detail['input'], root)}")
        case "string_pattern_mismatch":
            return Problem(where, f"{detail['input']!r} is no name: use letters, digits, - and _")
        case "model_type" | "dict_type":
            hint = _keys_hint(where, root) + _mapping_hint(where, detail["input"], root)
            return Problem(where, f"should be a mapping of keys, not {_shown(detail['input'])}{hint}")
        case "too_short":
            return Problem(where, f"needs at least {detail['ctx']['min_length']} entry")
        case "string_too_short":
            return Problem(where, "is empty")
        case "tuple_type":
            return Problem(
                where, f"should be a list, not {_shown(detail['input'])}{_list_hint(detail['input'])}"
            )
        case "string_type":
            return Problem(
                where, f"should be a valid string, not {_shown(detail['input'])}{_text_hint(detail['input'])}"
            )
        case "int_type" | "int_parsing" | "int_from_float":
            return Problem(
                where,
                f"should be a valid integer, not {_shown(detail['input'])}{_number_hint(detail['input'])}",
            )
        case "float_type" | "float_parsing":
            return Problem(
                where,
                f"should be a valid number, not {_shown(detail['input'])}{_number_hint(detail['input'])}",
            )
        case "bool_type" | "bool_parsing":
            return Problem(where, f"should be true or false, not {_shown(detail['input'])}")
    return Problem(where, f"{message}, not {_shown(detail['input'])}")


def _mapping_hint(where: Where, value: Any, root: type[BaseModel]) -> str:
    """A hint for a value that is not a mapping where one is needed."""
    if value is False or (isinstance(value, str) and value.lower() in ("no", "off", "none", "false")):
        return "; write null to leave it out" if takes_null(where, root) else ""
    if value is True or (isinstance(value, str) and value.lower() in ("yes", "on", "true")):
        return "; write {} for its defaults"
    if value is None and _is_all_defaults(type_at(where, root)):
        return "; write {} for its defaults"
    texts = isinstance(value, list) and value and all(isinstance(one, str) for one in value)
    if texts and _is_all_defaults(type_at((*where, value[0]), root)):
        return f"; write {{{', '.join(f'{one}: {{}}' for one in value)}}}"
    if isinstance(value, str) and value and {"source", "path"} <= set(keys_at(where, root)):
        return f"; write {{source: ..., path: {value}}}"
    if isinstance(value, list) and not keys_at(where, root):
        return "; give each entry a name: NAME: {...} in the place of - {...}"
    return ""


def _is_all_defaults(kind: Any) -> bool:
    """Whether a part of a recipe needs no key."""
    is_part = isinstance(kind, type) and issubclass(kind, BaseModel)
    return is_part and not any(info.is_required() for info in kind.model_fields.values())


def _list_hint(value: Any) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return f"; write [{value}]"
    return "; write [{...}], or each entry behind a `-`" if isinstance(value, Mapping) else ""


def _text_hint(value: Any) -> str:
    if isinstance(value, bool):
        return f'; put it in quotes: "{str(value).lower()}"'
    return f'; put it in quotes: "{value}"' if isinstance(value, int | float) else ""


def _number_hint(value: Any) -> str:
    """A hint for a number in a form that YAML does not know."""
    if not isinstance(value, str):
        return ""
    text = value.strip().replace(" ", "")
    forms: dict[str, Callable[[str], float]] = {
        r"[-+]?\d{1,3}(,\d{3})+": lambda t: int(t.replace(",", "")),
        r"[-+]?\d+,\d+([eE][-+]?\d+)?": lambda t: float(t.replace(",", ".")),
        r"[-+]?\d+(\.\d+)?%": lambda t: float(t[:-1]) / 100,
        r"0[xob][0-9a-fA-F]+": lambda t: int(t, 0),
    }
    for form, read in forms.items():
        if re.fullmatch(form, text):
            try:
                return f"; write {read(text):g}" if "," in text or "%" in text else f"; write {read(text)}"
            except ValueError:
                return ""
    return ""


def _keys_hint(where: Where, root: type[BaseModel]) -> str:
    keys = keys_at(where, root)
    return f"; its keys are {', '.join(keys)}" if keys else ""


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
