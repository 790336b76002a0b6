"""For plugin authors: fixtures, and :class:`SpecialistConformance`, which a plugin's tests derive from in one line."""

from __future__ import annotations

from typing import Any

__all__ = ["SpecialistConformance"]


def __getattr__(name: str) -> Any:
    # pytest imports this room at every start; the checks bring numpy and pyarrow along.
    if name == "SpecialistConformance":
        from vila2.testing.conformance import SpecialistConformance

        return SpecialistConformance
    raise AttributeError(f"module 'vila2.testing' has no attribute {name!r}")
