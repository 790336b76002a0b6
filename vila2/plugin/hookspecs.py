"""All hooks. A plugin implements the ones it needs, with ``hookimpl``.

A plugin is a module that an entry point in the group ``vila2.specialists`` names. The host calls each hook
once. An implementation may take fewer arguments than its hook here. A plugin chooses its names freely, but
they must be unique: the same name from two plugins is an error that names both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from vila2.plugin.contract import Specialist

GROUP = "vila2.specialists"

hookspec = pluggy.HookspecMarker("vila2")
hookimpl = pluggy.HookimplMarker("vila2")


@hookspec
def vila2_specialists() -> Sequence[Specialist]:
    """Specialists, each described by a :class:`vila2.plugin.contract.Specialist`."""
    return []


@hookspec
def vila2_sources() -> Mapping[str, str]:
    """Sources: name -> "package.module:read", a function like the ones in :mod:`vila2.sources`."""
    return {}


@hookspec
def vila2_engines() -> Mapping[str, str]:
    """Engines: name -> "package.module:open".

    The function takes (model, **options) and returns a :class:`vila2.plugin.Engine`.
    """
    return {}


@hookspec
def vila2_benchmarks() -> Mapping[str, str]:
    """Benchmarks: name -> "package.module:score".

    The function takes the ``Asked`` questions and returns items by measure.
    """
    return {}


@hookspec
def vila2_after_stage(folder: Path, stage: str, results: Mapping[str, Any]) -> None:
    """Call after a stage is trained.

    Args:
        folder: Folder that holds the stage's ``model/``.
        stage: Name of the stage.
        results: Results of the stage that the report shows.
    """
