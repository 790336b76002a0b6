"""One part of a recipe from the command line: its values, changed by ``--set KEY=VALUE``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from vila2.errors import RecipeError
from vila2.nearest import did_you_mean
from vila2.recipe.file.yaml import read_setting
from vila2.recipe.parts.values import Part

P = TypeVar("P", bound=Part)


def with_overrides(part: type[Part], values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Returns values of a part with changes of the form ``KEY=VALUE``.

    Raises:
        RecipeError: the part has no such setting.
    """
    changed = dict(values)
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals or name not in part.model_fields:
            raise RecipeError(
                f"--set {override}: no such setting", hint=did_you_mean(name, part.model_fields)
            )
        changed[name] = read_setting(text, where=f"--set {override}").value
    return changed


def checked_part(part: type[P], values: Mapping[str, Any], *, hint: str) -> P:
    """Makes a part of values; ``hint`` says where its settings are described.

    Raises:
        RecipeError: a setting does not take its value.
    """
    try:
        return part.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(f"--set {first['loc'][0]}: {first['msg']}", hint=hint) from error
