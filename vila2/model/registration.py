"""Registers the family with transformers' Auto classes, without importing torch or transformers.

Each module of the family registers itself with the Auto classes when it is imported. This module makes sure
that these imports happen: now if transformers' Auto classes are loaded already, otherwise as soon as they
are.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_FAMILY = {
    "transformers.models.auto.configuration_auto": "vila2.model.configuration",
    "transformers.models.auto.modeling_auto": "vila2.model.modeling",
    "transformers.models.auto.processing_auto": "vila2.model.processing",
}


class _AfterImport:
    """Imports a module of the family right after the Auto classes that it registers with.

    It has no base: `importlib.abc` would take a tenth of the time of `vila2 --help`.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _FAMILY:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            _import_after(spec.loader, _FAMILY[fullname])
        return spec


def _import_after(loader: Any, name: str) -> None:
    """Lets a loader import a module right after its own.

    Args:
        loader: any loader; its method ``exec_module`` is replaced, which no type allows.
        name: name of the module to import.
    """
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        importlib.import_module(name)

    loader.exec_module = exec_module


def register_with_transformers() -> None:
    """Registers the family with AutoConfig, AutoModel, AutoModelForImageTextToText and AutoProcessor."""
    if any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _AfterImport())
    for auto, module in _FAMILY.items():
        if auto in sys.modules:
            importlib.import_module(module)
