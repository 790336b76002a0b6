"""All hooks. A plugin implements the ones it needs, with ``hookimpl``.

A plugin is a module that an entry point in the group ``vila2.specialists`` names. An implementation may take
fewer arguments than its hook here.

Engines, sources and benchmarks need no hook. Each is a function that an entry point in the group
``vila2.engines``, ``vila2.sources`` or ``vila2.benchmarks`` names, and is found without an import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from vila2.plugin.discovery import Kind

if TYPE_CHECKING:
    from vila2.plugin.contract import Specialist
    from vila2.plugin.tools import Tool

hookspec = pluggy.HookspecMarker("vila2")
hookimpl = pluggy.HookimplMarker("vila2")

#: Hooks of the contract's first version, and the kind of entry point that took the place of each.
REPLACED: dict[str, Kind] = {
    "vila2_engines": "engine",
    "vila2_sources": "source",
    "vila2_benchmarks": "benchmark",
}


@hookspec
def vila2_specialists() -> Sequence[Specialist | Tool]:
    """Specialists, each described by a :class:`vila2.plugin.Specialist` or a :class:`vila2.plugin.Tool`."""
    return []


@hookspec
def vila2_after_stage(folder: Path, stage: str, results: Mapping[str, Any]) -> None:
    """Call after a stage is trained, for the plugins that the recipe lists under ``plugins``.

    The stage is finished by then. What the hook does changes no model, and where it fails, the next run calls
    it again.

    Args:
        folder: Folder that holds the stage's ``model/``.
        stage: Name of the stage.
        results: Results of the stage that the report shows.
    """
