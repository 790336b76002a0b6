"""Test tools for authors of plugins: fixtures, and the checks of each kind of plugin.

A plugin's test class derives from the class of its kind, such as :class:`SpecialistConformance`, and so gets
all of its checks.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vila2.testing.benchmark_conformance import BenchmarkConformance as BenchmarkConformance
    from vila2.testing.conformance import SpecialistConformance as SpecialistConformance
    from vila2.testing.engine_conformance import EngineConformance as EngineConformance
    from vila2.testing.source_conformance import SourceConformance as SourceConformance
    from vila2.testing.tool_conformance import ToolConformance as ToolConformance

# pytest imports this package at every start, and the checks would import numpy and pyarrow.
_HOMES = {
    "BenchmarkConformance": "vila2.testing.benchmark_conformance",
    "EngineConformance": "vila2.testing.engine_conformance",
    "SourceConformance": "vila2.testing.source_conformance",
    "SpecialistConformance": "vila2.testing.conformance",
    "ToolConformance": "vila2.testing.tool_conformance",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'vila2.testing' has no attribute {name!r}")
