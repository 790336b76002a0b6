"""A trial of a plugin's builder or tool from the command line: ``python -m vila2_ocr DATA KEY=VALUE``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vila2.errors import RecipeError, Vila2Error
from vila2.nearest import did_you_mean
from vila2.plugin.contract import BuilderConfig
from vila2.plugin.tools import ToolSettings

Config = TypeVar("Config", bound=BuilderConfig)
Settings = TypeVar("Settings", bound=ToolSettings)
Made = TypeVar("Made", bound=BaseModel)


def config_from(kind: type[Config], arguments: Sequence[str]) -> Config:
    """A builder's settings from arguments.

    Args:
        kind: Class of the settings.
        arguments: Path of the data, then ``KEY=VALUE`` pairs. A value is JSON or text.

    Raises:
        RecipeError: An argument has another form, a setting does not exist, or it does not take the value.
    """
    data, *rest = arguments
    return _made(kind, rest, {"data": Path(data)})


def settings_from(kind: type[Settings], arguments: Sequence[str]) -> Settings:
    """A tool's settings from ``KEY=VALUE`` arguments. A value is JSON or text.

    Raises:
        RecipeError: An argument has another form, a setting does not exist, or it does not take the value.
    """
    return _made(kind, arguments, {})


def _made(kind: type[Made], arguments: Sequence[str], fixed: dict[str, Any]) -> Made:
    given: dict[str, Any] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals:
            raise RecipeError(f"{argument}: not of the form KEY=VALUE", hint="give settings such as seed=1")
        given[name] = _value(value)
    known = [name for name in kind.model_fields if name not in fixed]
    for name in given:
        if name not in known:
            raise RecipeError(f"no setting {name!r}", hint=did_you_mean(name, known))
    try:
        return kind(**fixed, **given)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise RecipeError("; ".join(problems), hint=f"settings: {', '.join(known)}") from error


def told(main: Callable[[Sequence[str]], int], arguments: Sequence[str], usage: str | None) -> int:
    """Runs a plugin's command. It prints the usage without arguments, and the message of an error.

    Returns:
        The exit code of ``main``, or 1 where it raises a :class:`Vila2Error`.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage)
        return 0
    try:
        return main(arguments)
    except Vila2Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
