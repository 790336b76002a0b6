"""Every hook there is. A plugin implements those it has something for, with ``hookimpl``.

A plugin is a module named by an entry point in the group ``vila2.specialists``; each hook is called once and may
take fewer arguments than stand here. Names are the plugin's own business only as long as they are unique: two
plugins that bring the same name are an error that names both.
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
    """Specialists: what each supplies is described in :class:`vila2.plugin.contract.Specialist`."""
    return []


@hookspec
def vila2_sources() -> Mapping[str, str]:
    """Sources: name -> "package.module:read", a function like those in :mod:`vila2.sources`."""
    return {}


@hookspec
def vila2_engines() -> Mapping[str, str]:
    """Engines: name -> "package.module:open", called with (model, **options), giving a :class:`vila2.plugin.Engine`."""
    return {}


@hookspec
def vila2_benchmarks() -> Mapping[str, str]:
    """Benchmarks: name -> "package.module:score", called with the ``Asked`` questions, giving items by measure."""
    return {}


@hookspec
def vila2_after_stage(folder: Path, stage: str, results: Mapping[str, Any]) -> None:
    """Called when a stage is trained: ``folder`` holds ``model/``; ``results`` is what the report shows of it."""
