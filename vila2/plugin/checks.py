"""Checks of a plugin that need neither its data nor a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

from packaging.specifiers import SpecifierSet
from pydantic import BaseModel

from vila2.errors import PluginError, Vila2Error
from vila2.nearest import did_you_mean
from vila2.plugin.contract import BuilderConfig, Specialist
from vila2.plugin.discovery import Installed, Kind
from vila2.plugin.guard import guarded
from vila2.plugin.host import Host
from vila2.plugin.references import call, load_reference, read_packaged
from vila2.plugin.tools import Tool, ToolSettings
from vila2.plugin.versions import has_ceiling, stated_range
from vila2.recipe.specialist_recipe import RUN, SpecialistRecipe, read_specialist_recipe

T = TypeVar("T")

#: Base of the class that a reference of this name leads to.
_SETTINGS: dict[str, type[BaseModel]] = {"config": BuilderConfig, "settings": ToolSettings}


@dataclass(frozen=True, slots=True)
class Check:
    """One check and its result."""

    what: str
    passed: bool
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def check_plugin(host: Host, name: str, taken: Mapping[Kind, Collection[str]] | None = None) -> list[Check]:
    """Checks what plugins bring under a name: a plugin with hooks, an engine, a source, a benchmark.

    What does not load gets no further checks.

    Args:
        host: host of the plugins.
        name: name of an entry point.
        taken: names that vila2 itself has, by kind.
    """
    checks: list[Check] = []
    kinds: list[Kind] = list(dict.fromkeys(one.kind for one in host.everything if one.name == name))
    for kind in kinds or ["plugin"]:
        _check_kind(checks, host, kind, name, (taken or {}).get(kind, ()))
    return checks


def _check_kind(checks: list[Check], host: Host, kind: Kind, name: str, taken: Collection[str]) -> None:
    """Checks what plugins bring of one kind under a name."""

    def found() -> Installed:
        return (host.brought(kind, name) if kind != "plugin" else None) or host.plugin(name)

    brought = _tried(checks, f"{kind} {name!r} is installed, by one package", found)
    if brought is None:
        return
    if kind != "plugin":
        _tried(checks, "its name is free", lambda: _check_free(brought, taken))
        function = _tried(checks, f"it loads: {brought.module}", lambda: host.load_function(brought))
        if function is not None:
            _tried(checks, f"it takes {_TAKES[kind]}", lambda: _check_arguments(kind, function, brought))
    else:
        hooks = _tried(checks, f"it loads: {brought.module}", lambda: host.hooks(brought))
        if hooks is not None and "vila2_specialists" in hooks:
            _check_specialist(checks, host, name)
    if all(check.passed for check in checks):
        from vila2 import __version__

        wanted = stated_range(brought)
        checks.append(Check(f"it fits vila2 {__version__}", True, _missing_ceiling(wanted)))


def _check_specialist(checks: list[Check], host: Host, name: str) -> None:
    """Checks a specialist: everything that it names, and that its recipe trains on what its builder makes."""
    specialist = _tried(checks, f"specialist {name!r}", lambda: host.described(name))
    if specialist is None:
        return
    of = str(host.plugin(name))
    loaded = {}
    for field in ("builder", "config", "parser", "metrics", "annotate", "settings", "verifier"):
        reference = getattr(specialist, field, None)
        if reference:
            what = f"{field}: {reference}"
            loaded[field] = _tried(checks, what, partial(load_part, specialist, field, of=of))
    if not isinstance(specialist, Specialist):
        return
    recipes = _tried(checks, f"recipe: {specialist.recipe}", lambda: read_recipes(specialist, of=of))
    builder = loaded.get("builder")
    if recipes is not None and builder is not None:
        names = list(dict.fromkeys(name for recipe in recipes for name in recipe.datasets()))
        subsets = builder.subsets
        _tried(checks, f"mixtures: {', '.join(names)}", lambda: _check_mixtures(names, subsets, of))


def read_recipes(specialist: Specialist, *, of: str) -> tuple[SpecialistRecipe, SpecialistRecipe]:
    """A specialist's packaged recipe: for any generalist, and for the shipped miniature.

    Raises:
        PluginError: The recipe is missing.
        RecipeError: The recipe has faults. The message lists them line by line.
    """
    text, where = read_packaged(specialist.recipe, of=of), f"{of}, {specialist.recipe}"
    small = read_specialist_recipe(text, where=where, miniature=True)
    return read_specialist_recipe(text, where=where), small


#: What the functions of each kind are called with.
_TAKES: dict[Kind, str] = {
    "engine": "a model and options",
    "source": "`start` and `count`",
    "benchmark": "the answers",
}


def _check_free(brought: Installed, taken: Collection[str]) -> None:
    if brought.name in taken:
        raise PluginError(
            f"{brought}: vila2 itself has the {brought.kind} {brought.name!r}, and that one is used",
            hint="choose another name for the entry point",
        )


def _check_arguments(kind: Kind, function: Callable[..., Any], brought: Installed) -> None:
    """Checks that a function can be called as the host calls it."""
    signature: inspect.Signature = call(inspect.signature, function, of=str(brought))
    try:
        if kind == "source":
            signature.bind_partial(start=0, count=1)
        elif kind == "engine":
            signature.bind("model", dtype="float32")
        else:
            signature.bind([])
    except TypeError as error:
        raise PluginError(
            f"{brought}: {brought.module}{signature} cannot be called with {_TAKES[kind]}: {error}",
            hint="see docs/plugins.md for a complete one",
        ) from error


def _check_mixtures(datasets: Collection[str], subsets: Collection[str], of: str) -> None:
    for name in datasets:
        if not name.startswith(RUN) and name not in subsets:
            raise PluginError(
                f"{of}: the recipe trains on {name!r}, which the builder does not make",
                hint=did_you_mean(name, [*subsets, f"{RUN}sft"]),
            )


def _missing_ceiling(wanted: SpecifierSet | None) -> str:
    if wanted is None:
        return 'it states no range: write dependencies = ["vila2>=A,<B"] in its pyproject.toml'
    return (
        "" if has_ceiling(wanted) else f"it states vila2{wanted}, without a version from which it may break"
    )


def load_part(specialist: Specialist | Tool, field: str, *, of: str) -> Any:
    """What a field of a specialist refers to, if it is of the right kind.

    Args:
        specialist: Specialist or tool that a plugin describes.
        field: "builder", "config", "parser", "metrics", "annotate", "settings" or "verifier".
        of: Name of the plugin, for errors.

    Raises:
        PluginError: It cannot be imported, or is of another kind.
    """
    with guarded(f"{of}, {field}"):
        return _fits(field, load_reference(getattr(specialist, field), of=f"{of}, {field}"), of)


def _fits(field: str, loaded: Any, of: str) -> Any:
    """Refuses an object of the wrong kind, as far as its kind can be seen from outside."""
    if field in _SETTINGS:
        base = _SETTINGS[field]
        if not (isinstance(loaded, type) and issubclass(loaded, base)):
            what = f"{of}: {loaded!r} is no {base.__name__}"
            raise PluginError(what, hint=f"derive it from {base.__name__}")
    elif field == "builder":
        missing = [name for name in ("version", "subsets", "shards", "build") if not hasattr(loaded, name)]
        if missing:
            raise PluginError(
                f"{of}: the builder has no {', '.join(missing)}", hint="see vila2.plugin.Builder"
            )
        subsets = loaded.subsets
        if isinstance(subsets, str) or not subsets or not all(isinstance(one, str) for one in subsets):
            raise PluginError(f"{of}: the builder's subsets are {subsets!r}", hint='give ("built",) or more')
        if not isinstance(loaded.version, int):
            raise PluginError(f"{of}: the builder's version is {loaded.version!r}", hint="give a number")
    elif not callable(loaded):
        raise PluginError(f"{of}: {field} cannot be called", hint="name a function")
    return loaded


def _tried(checks: list[Check], what: str, attempt: Callable[[], T]) -> T | None:
    try:
        result = attempt()
    except Vila2Error as error:
        checks.append(Check(what, False, "\n".join([str(error), *getattr(error, "__notes__", ())])))
        return None
    checks.append(Check(what, True))
    return result
