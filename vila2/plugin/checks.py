"""Checks of a plugin that need neither its data nor a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from vila2.errors import PluginError, Vila2Error
from vila2.plugin.contract import BuilderConfig, Specialist
from vila2.plugin.host import Host
from vila2.plugin.references import load_reference, read_packaged
from vila2.recipe.specialist_recipe import SpecialistRecipe, read_specialist_recipe


@dataclass(frozen=True, slots=True)
class Check:
    """One check and its result."""

    what: str
    passed: bool
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def check_plugin(host: Host, name: str) -> list[Check]:
    """Checks everything that a specialist's plugin names.

    A plugin that does not load gets no further checks.
    """
    checks: list[Check] = []
    specialist = _tried(checks, f"{name} is installed and loads", lambda: host.specialist(name))
    if specialist is None:
        return checks
    of = str(host.plugin(name))
    for field in ("builder", "config", "parser", "metrics", "verifier"):
        reference = getattr(specialist, field)
        if reference:
            _tried(
                checks,
                f"{field}: {reference}",
                partial(_reference_fits, field, reference, of),
            )
    _tried(checks, f"recipe: {specialist.recipe}", lambda: read_recipe(specialist, of=of))
    return checks


def read_recipe(specialist: Specialist, *, of: str) -> SpecialistRecipe:
    """A specialist's packaged recipe.

    Raises:
        PluginError: The recipe is missing.
        RecipeError: The recipe has faults. The message lists them line by line.
    """
    text, where = read_packaged(specialist.recipe, of=of), f"{of}, {specialist.recipe}"
    read_specialist_recipe(text, where=where, miniature=True)
    return read_specialist_recipe(text, where=where)


def _reference_fits(field: str, reference: str, of: str) -> None:
    _fits(field, load_reference(reference, of=f"{of}, {field}"), of)


def _fits(field: str, loaded: Any, of: str) -> Any:
    """Refuses an object of the wrong kind, as far as its kind can be seen from outside."""
    if field == "config":
        if not (isinstance(loaded, type) and issubclass(loaded, BuilderConfig)):
            raise PluginError(f"{of}: {loaded!r} is no BuilderConfig", hint="derive it from BuilderConfig")
    elif field == "builder":
        missing = [name for name in ("version", "subsets", "shards", "build") if not hasattr(loaded, name)]
        if missing:
            raise PluginError(
                f"{of}: the builder has no {', '.join(missing)}", hint="see vila2.plugin.Builder"
            )
    elif not callable(loaded):
        raise PluginError(f"{of}: {field} cannot be called", hint="name a function")
    return loaded


def _tried(checks: list[Check], what: str, attempt: Callable[[], Any]) -> Any:
    try:
        result = attempt()
    except Vila2Error as error:
        checks.append(Check(what, False, str(error)))
        return None
    checks.append(Check(what, True))
    return result
