"""Makes transformers' Auto classes know the family, without importing torch or transformers for it.

Each module of the family registers itself with the Auto classes when it is imported. This module sees
to it that they are imported, whichever comes first: at once where transformers' Auto classes are
loaded already, else in the moment when they are.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_FAMILY = {
    "transformers.models.auto.configuration_auto": "vila2.model.configuration",
    "transformers.models.auto.modeling_auto": "vila2.model.modeling",
    "transformers.models.auto.processing_auto": "vila2.model.processing",
}


class _AfterImport(MetaPathFinder):
    """Imports a module of the family as soon as the Auto classes it registers with are there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _FAMILY:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                importlib.import_module(_FAMILY[fullname])

            spec.loader.exec_module = exec_module
        return spec


def register_with_transformers() -> None:
    """Registers the family with AutoConfig, AutoModel, AutoModelForImageTextToText and AutoProcessor."""
    if any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _AfterImport())
    for auto, module in _FAMILY.items():
        if auto in sys.modules:
            importlib.import_module(module)
