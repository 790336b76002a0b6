"""Plugins: what a specialist supplies, the hooks, and the host that finds them. A plugin's author imports from here."""

from __future__ import annotations

import importlib
from typing import Any

# Resolved on first use: a plugin that only registers itself loads nothing more.
_FACE = {
    "API_VERSION": "vila2.plugin.contract",
    "Asked": "vila2.plugin.contract",
    "Builder": "vila2.plugin.contract",
    "BuilderConfig": "vila2.plugin.contract",
    "MergePolicy": "vila2.plugin.contract",
    "Parsed": "vila2.plugin.contract",
    "Said": "vila2.plugin.contract",
    "Specialist": "vila2.plugin.contract",
    "hookimpl": "vila2.plugin.hookspecs",
}

__all__ = [*_FACE]


def __getattr__(name: str) -> Any:
    if name in _FACE:
        return getattr(importlib.import_module(_FACE[name]), name)
    raise AttributeError(f"module 'vila2.plugin' has no attribute {name!r}")
