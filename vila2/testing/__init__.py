"""Test tools for authors of plugins: fixtures and :class:`SpecialistConformance`.

A plugin's test class derives from :class:`SpecialistConformance` and so gets all of its checks.
"""

from __future__ import annotations

from typing import Any

__all__ = ["SpecialistConformance"]


def __getattr__(name: str) -> Any:
    # pytest imports this package at every start, and the checks would import numpy and pyarrow.
    if name == "SpecialistConformance":
        from vila2.testing.conformance import SpecialistConformance

        return SpecialistConformance
    raise AttributeError(f"module 'vila2.testing' has no attribute {name!r}")
