"""Engines by name: the built-in one, and those of plugins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from vila2.engine.guarded_engine import guarded_opener
from vila2.engine.protocol import Engine
from vila2.errors import EngineError
from vila2.model.loading import locate
from vila2.nearest import did_you_mean
from vila2.plugin.newly_named import newly_named
from vila2.plugin.references import load_reference
from vila2.recipe.parts.values import DEFAULT_ENGINE

#: Every engine of the core: its name, and the function ``open(model, **options)`` that makes it.
ENGINES: dict[str, str] = {DEFAULT_ENGINE: "vila2.engine.transformers_engine:open_transformers"}


def open_engine(name: str, model: Any, **options: Any) -> Engine:
    """An engine with a model in it.

    Args:
        name: name in :data:`ENGINES`, or of a plugin's engine.
        model: hub id or folder.
        options: options of the engine: ``dtype``, ``device``, ...

    Raises:
        EngineError: no engine of that name.
        ModelError: there is no such model; found before torch is imported.
        PluginError: the plugin that brings the engine is broken, or two bring it.
    """
    if name == DEFAULT_ENGINE:
        locate(model)
    return find_engine(name)(model, **options)


def engine_names() -> list[str]:
    """The names of all engines, those of plugins included."""
    from vila2.plugin.host import Host

    return list(dict.fromkeys([*ENGINES, *Host().names("engine")]))


def find_engine(name: str) -> Callable[..., Engine]:
    """The function that opens the engine of a name. Of the plugins, only the one that brings it is imported.

    Raises:
        EngineError: no engine of that name.
        PluginError: the plugin that brings it is broken.
    """
    if name in ENGINES:
        return cast(Callable[..., Engine], load_reference(ENGINES[name], of=f"engine {name!r}"))
    from vila2.plugin.host import Host

    host = Host()
    brought = host.brought("engine", name)
    if brought is None:
        hint = newly_named("engine", name) or did_you_mean(name, engine_names())
        raise EngineError(f"unknown engine {name!r}", hint=hint)
    return guarded_opener(host.load_function(brought), str(brought))
