"""Errors of a recipe's types in the words of a recipe, with hints for common mistakes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from vila2.recipe.checks.problems import Problem, Where
from vila2.recipe.file.shape import describe, keys_at, suggest_key, suggest_value, takes_null, type_at
from vila2.recipe.recipe import Recipe

#: Beginnings of the messages for a key that is not given, and for one that does not exist.
MISSING = "is missing"
NO_SUCH_KEY = "there is no such key"
#: Characters from word processors and web pages that look like a space or are invisible.
_LOOKALIKES = {
    "\u00a0": "a no-break space",
    "\u2007": "a figure space",
    "\u202f": "a narrow no-break space",
    "\u3000": "an ideographic space",
    "\u200b": "a zero-width space",
    "\ufeff": "a byte-order mark",
}


def follows(detail: ErrorDetails) -> bool:
    """Whether one of pydantic's errors only follows from others."""
    # pydantic does not count entries that have problems, so the list may only seem too short.
    if detail["type"] != "too_short":
        return False
    return bool(len(detail["input"]) >= detail["ctx"]["min_length"])


def problem_of(detail: ErrorDetails, root: type[BaseModel] = Recipe) -> Problem:
    """One of pydantic's errors as a problem of a recipe, or of another ``root``."""
    where = tuple(part for part in detail["loc"] if part != "[key]")
    message = detail["msg"].removeprefix("Input ").removeprefix("Value error, ")
    match detail["type"]:
        case "extra_forbidden":
            if re.fullmatch(r"\d+([eE][-+]?\d+)?", str(where[-1])):
                what = "a decimal comma ends the value before it: write a point"
                return Problem(where, f"{NO_SUCH_KEY}; {what}")
            if strange := next(
                (name for letter, name in _LOOKALIKES.items() if letter in str(where[-1])), None
            ):
                return Problem(where, f"{NO_SUCH_KEY}; it holds {strange}: write it anew with plain spaces")
            return Problem(where, f"{NO_SUCH_KEY}; {suggest_key(where, root)}")
        case "missing":
            return Problem(where, f"{MISSING} ({describe(where, root)})")
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
