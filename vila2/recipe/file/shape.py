"""The keys and values that a recipe can have at each place, read from its types."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from vila2.nearest import did_you_mean, nearest
from vila2.recipe.checks.problems import Where
from vila2.recipe.parts.engine import EngineSpec
from vila2.recipe.recipe import Recipe

ANY_KEY = "*"


def keys_at(where: Where, root: type[BaseModel] = Recipe) -> list[str]:
    """The keys at a place of a recipe, or of another ``root``; empty if the place has no fixed keys."""
    kind = type_at(where, root)
    return list(kind.model_fields) if _is_part(kind) else []


def type_at(where: Where, root: type[BaseModel] = Recipe) -> Any:
    """The type of the value at a place; None if there is no such place, ``Any`` if any value is valid."""
    kind: Any = root
    for key in where:
        kind = _below(kind, key)
    return kind


def takes_null(where: Where, root: type[BaseModel] = Recipe) -> bool:
    """Whether ``null`` is a valid value at a place; otherwise it removes what is there."""
    holder, key = type_at(where[:-1], root), where[-1]
    if _is_part(holder):
        kind = holder.model_fields[key].annotation if key in holder.model_fields else Any
    else:
        kind = get_args(holder)[1] if get_origin(holder) is dict else Any
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind is Any or type(None) in get_args(kind)


def describe(where: Where, root: type[BaseModel] = Recipe) -> str:
    """The description of a key."""
    holder = type_at(where[:-1], root)
    known = _is_part(holder) and where[-1] in holder.model_fields
    return holder.model_fields[where[-1]].description or "" if known else ""


def suggest_key(where: Where, root: type[BaseModel] = Recipe) -> str:
    """The key that was probably meant by an unknown one: a similar one, or the same one elsewhere."""
    name, known = str(where[-1]), keys_at(where[:-1], root)
    if nearest(name, known) is None:
        elsewhere = [".".join(path) for path in all_keys(root) if path[-1] == name and len(path) > 1]
        if elsewhere:
            return f"did you mean {' or '.join(map(repr, elsewhere[:3]))}?".replace(ANY_KEY, "NAME")
    return did_you_mean(name, known)


def suggest_value(where: Where, value: Any, root: type[BaseModel] = Recipe) -> str:
    """The message for a value that is not among a key's fixed choices."""
    choices = [str(choice) for choice in _choices(type_at(where, root))]
    near = nearest(value, choices) if isinstance(value, str) else None
    return f"is none of {', '.join(choices)}" + (f"; did you mean {near!r}?" if near else "")


def all_keys(kind: Any = Recipe, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of a recipe with the keys above it; ``*`` is any name or number."""
    kind = _plain(kind)
    if kind is EngineSpec:  # its further keys are the engine's own
        return
    if _is_part(kind):
        for name, info in kind.model_fields.items():
            yield (*above, name)
            yield from all_keys(info.annotation, (*above, name))
    elif get_origin(kind) in (dict, tuple) and get_args(kind):
        yield from all_keys(get_args(kind)[get_origin(kind) is dict], (*above, ANY_KEY))


def _below(kind: Any, key: str | int) -> Any:
    kind = _plain(kind)
    if kind is Any:
        return Any
    if _is_part(kind):
        return _plain(kind.model_fields[key].annotation) if key in kind.model_fields else None
    if get_origin(kind) is dict:
        return _plain(get_args(kind)[1])
    if get_origin(kind) is tuple and isinstance(key, int):
        return _plain(get_args(kind)[0])
    return None


def _plain(kind: Any) -> Any:
    """A type without ``Annotated`` and without None as an alternative."""
    while True:
        origin = get_origin(kind)
        if origin is Annotated:
            kind = get_args(kind)[0]
        elif origin in (Union, types.UnionType):
            kind = next(choice for choice in get_args(kind) if choice is not type(None))
        else:
            return kind


def _choices(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) is Literal else ()


def _is_part(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
