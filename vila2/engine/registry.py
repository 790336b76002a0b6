"""Engines by name: the built-in one, and those of plugins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from vila2.engine.guarded_engine import guarded_opener
from vila2.engine.options import check_options, open_with_options
from vila2.engine.protocol import Engine
from vila2.errors import EngineError
from vila2.model.loading import locate
from vila2.nearest import did_you_mean
from vila2.plugin.newly_named import newly_named
from vila2.plugin.references import load_reference
from vila2.recipe.parts.engine import EngineSpec
from vila2.recipe.parts.values import DEFAULT_ENGINE

#: Every engine of the core: its name, and the function ``open(model, **options)`` that makes it.
ENGINES: dict[str, str] = {
    DEFAULT_ENGINE: "vila2.engine.transformers_engine:open_transformers",
    "openai": "vila2.engine.openai_engine:open_openai",
}


def open_engine(engine: EngineSpec | str, model: Any, **loading: Any) -> Engine:
    """An engine with a model in it.

    Args:
        engine: name in :data:`ENGINES` or of a plugin's engine, or that and the engine's own options; see
            :mod:`vila2.engine.options`.
        model: hub id or folder, or the name that a server has for it.
        loading: how the model is loaded: ``dtype``, ``device``, ``trust_remote_code``.

    Raises:
        EngineError: no engine of that name, or its options are wrong.
        ModelError: there is no such model; found before torch is imported.
        PluginError: the plugin that brings the engine is broken, or two bring it.
    """
    spec = EngineSpec(name=engine) if isinstance(engine, str) else engine
    if spec.name == DEFAULT_ENGINE:
        locate(model)
    return open_with_options(spec.name, find_engine(spec.name), model, spec.options, loading)


def check_engine(engine: EngineSpec) -> None:
    """Checks that an engine is there and takes its options, without opening it.

    Raises:
        EngineError: no engine of that name, or its options are wrong.
        PluginError: the plugin that brings it is broken.
    """
    check_options(engine.name, find_engine(engine.name), engine.options)


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
