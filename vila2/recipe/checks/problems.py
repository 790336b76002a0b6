"""A problem in a recipe, and helpers of the checks: they read raw values safely and look up names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from vila2.errors import DataError
from vila2.nearest import did_you_mean

Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a recipe.

    Attributes:
        where: path of keys to it.
        what: description of the problem.
        final: whether the value could not be read, so that other problems of this place only follow from it.
    """

    where: Where
    what: str
    final: bool = False


def dataset_problems(where: Where, name: Any, data: Mapping[str, Any]) -> Iterator[Problem]:
    """The problem of a dataset that does not exist."""
    if isinstance(name, str) and data and name not in data:
        yield Problem(where, unknown("dataset", name, data))


def range_problems(where: Where, ends: Any) -> Iterator[Problem]:
    """The problem of a pair that is no range; values that are no pair of numbers are reported elsewhere."""
    if all(map(is_number, sequence(ends))) and len(sequence(ends)) == 2 and range_of(ends) is None:
        yield Problem(where, f"{sequence(ends)}: write [from, to] with 0 <= from < to <= 1")


def layers_brought(dataset: Any, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The layers that the recipe names for a dataset."""
    return mapping(mapping(data.get(dataset)).get("layers")) if isinstance(dataset, str) else {}


def layers_of(view: str) -> tuple[tuple[str, ...], str]:
    """The layers of a view, and the problem with the view, or an empty text."""
    from vila2.data.views import View

    try:
        return View.parse(view).layers, ""
    except DataError as error:
        return (), f"{error.what}; {error.hint}" if error.hint else error.what


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """The message for an unknown name, with the name that was probably meant."""
    return f"there is no {kind} {name!r}; {did_you_mean(name, known)}"


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping as it is; an empty one for any other value."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> list[Any]:
    """A list or tuple as a list; an empty one for any other value."""
    return list(value) if isinstance(value, list | tuple) else []


def range_of(value: Any) -> tuple[float, float] | None:
    """A range [from, to] with 0 <= from < to <= 1; None for any other value."""
    ends = sequence(value)
    if len(ends) != 2 or not all(map(is_number, ends)) or not 0 <= ends[0] < ends[1] <= 1:
        return None
    return ends[0], ends[1]


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a value is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number above zero."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
