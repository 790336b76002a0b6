"""The options of an engine: those that its factory declares, checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError

from vila2.engine.protocol import Engine
from vila2.errors import EngineError
from vila2.nearest import did_you_mean

#: Name of the parameter with which a factory declares the type of its options.
_SETTINGS = "settings"


def open_with_options(
    name: str,
    factory: Callable[..., Engine],
    model: Any,
    options: Mapping[str, Any],
    loading: Mapping[str, Any],
) -> Engine:
    """Opens an engine with the user's options.

    Args:
        name: name of the engine, for errors.
        factory: function that opens it, given the model. One that has a parameter ``settings`` whose type is
            a pydantic model takes options.
        model: hub id, folder or name of the model.
        options: the user's options.
        loading: how the model is loaded: ``dtype``, ``device``, ``trust_remote_code``.

    Raises:
        EngineError: the engine takes no such option, an option is missing or has a wrong value, or the engine
            cannot load a model in this way.
    """
    given = dict(loading)
    if (settings := check_options(name, factory, options)) is not None:
        given[_SETTINGS] = settings
    known = _parameters(factory)
    takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
    if unknown := [] if takes_all else [key for key in loading if key not in known]:
        raise EngineError(f"engine {name!r} does not decide {_list(unknown)}", hint="leave it out")
    return factory(model, **given)


def check_options(name: str, factory: Callable[..., Engine], options: Mapping[str, Any]) -> BaseModel | None:
    """Options as the type that an engine declares; None where it declares none.

    Raises:
        EngineError: the engine takes no such option, an option is missing or has a wrong value.
    """
    kind = _settings_type(factory)
    if kind is not None:
        return _checked(name, kind, options)
    if options:
        raise EngineError(f"engine {name!r} takes no option {_list(options)}", hint="leave it out")
    return None


def _settings_type(factory: Callable[..., Engine]) -> type[BaseModel] | None:
    """The type of an engine's options; None where it has none."""
    if _SETTINGS not in _parameters(factory):
        return None
    try:
        kind = get_type_hints(factory).get(_SETTINGS)
    except NameError as error:
        raise EngineError(
            f"the type of {_SETTINGS!r} of {factory.__module__}.{factory.__qualname__} is unknown: {error}",
            hint="import the type at the top of the module",
        ) from error
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _checked(name: str, kind: type[BaseModel], options: Mapping[str, Any]) -> BaseModel:
    """Options as the engine's own type; a value is never part of an error, since it may be secret.

    Raises:
        EngineError: an option is unknown, missing, or has a wrong value.
    """
    known = kind.model_fields
    for key in options:
        if key not in known:
            raise EngineError(f"engine {name!r} has no option {key!r}", hint=did_you_mean(key, known))
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "options"
        missing = first["type"] == "missing"
        told = known[where].description if where in known else None
        raise EngineError(
            f"engine {name!r} needs the option {where!r}"
            if missing
            else f"engine {name!r}, option {where!r}: {first['msg']}",
            hint=f"{where}: {told}" if told else "see docs/engines.md",
        ) from None


def _parameters(factory: Callable[..., Engine]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(factory).parameters


def _list(names: Any) -> str:
    return ", ".join(map(repr, names))
