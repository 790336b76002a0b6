"""Engines by name: the built-in one, and what plugins bring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vila2.caption.engine import Engine
from vila2.errors import EngineError
from vila2.plugin.references import load_reference
from vila2.run.nearest import did_you_mean

if TYPE_CHECKING:
    from vila2.plugin.host import Provided

#: Every engine of the core: its name, and the function ``open(model, **options)`` that makes it.
ENGINES: dict[str, str] = {"transformers": "vila2.caption.transformers_engine:open_transformers"}


def open_engine(name: str, model: Any, **options: Any) -> Engine:
    """An engine with a model in it.

    Args:
        name: one of :data:`ENGINES`, or of a plugin.
        model: hub id or folder.
        options: the engine's own: ``dtype``, ``device``, ...

    Raises:
        EngineError: no engine of that name.
        PluginError: the plugin that brings it is broken.
    """
    if name in ENGINES:
        return load_reference(ENGINES[name], of=f"engine {name!r}")(model, **options)
    return check_engine(name)[name].load()(model, **options)


def check_engine(name: str) -> Mapping[str, Provided]:
    """Whether there is an engine of that name.

    Returns:
        What plugins bring, where it is not the core's.

    Raises:
        EngineError: there is none.
    """
    from vila2.plugin.host import Host

    brought = {} if name in ENGINES else Host().engines()
    if name not in ENGINES and name not in brought:
        raise EngineError(f"unknown engine {name!r}", mend=did_you_mean(name, [*ENGINES, *brought]))
    return brought
