"""The checks that every plugin passes, whatever it brings."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from vila2.engine.registry import ENGINES
from vila2.evaluate.benchmarks import KINDS
from vila2.plugin.checks import check_plugin
from vila2.plugin.discovery import Installed, Kind
from vila2.plugin.host import Host
from vila2.sources import SOURCES

_FORBIDDEN = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}


class InstalledConformance:
    """Checks of a package with an entry point. The class of each kind derives from it.

    Attributes:
        name: Name of the entry point.
        brings: What the entry point brings.
    """

    name: ClassVar[str]
    brings: ClassVar[Kind] = "plugin"

    def brought(self) -> Installed:
        """The entry point, as the host finds it."""
        found = Host().brought(self.brings, self.name)
        assert found is not None, (
            f"no package brings the {self.brings} {self.name!r}: `pip install -e .` first, and compare the "
            "name with the one in pyproject.toml"
        )
        return found

    def test_it_is_installed_and_every_reference_resolves(self) -> None:
        taken: dict[Kind, Collection[str]] = {"engine": ENGINES, "source": SOURCES, "benchmark": KINDS}
        failed = [check for check in check_plugin(Host(), self.name, taken) if not check.passed]
        assert not failed, "\n".join(f"{check.what}: {check.detail}" for check in failed)

    def test_listing_it_imports_neither_it_nor_torch(self) -> None:
        module = self.brought().module.partition(":")[0]
        described = (
            f"from vila2.plugin.host import Host; Host().described({self.name!r})\n"
            "assert 'torch' not in sys.modules, 'describing it imports torch: use references'"
        )
        listed = run_python(
            "import sys; from vila2.plugin.discovery import everything_installed\n"
            f"assert any(one.name == {self.name!r} for one in everything_installed())\n"
            f"assert {module!r} not in sys.modules, 'the list imported the plugin'\n"
            "assert 'torch' not in sys.modules, 'the list imported torch'\n"
            + (described if self.brings == "plugin" else "")
        )
        assert listed.returncode == 0, listed.stderr

    def test_it_does_not_unpickle(self) -> None:
        for module in self.modules():
            for file in _files(module):
                found = _unpickles(ast.parse(file.read_text(encoding="utf-8")))
                assert not found, f"{file}, line {found[0]}: unpickling runs whatever a file says"

    def modules(self) -> set[str]:
        """The packages whose code is the plugin's."""
        return {self.brought().module.partition(":")[0].split(".")[0]}


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in another process that finds the same packages."""
    path = os.pathsep.join(filter(None, sys.path))  # the other process needs what pytest put on the path
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path} | environment,
        check=False,
    )


def _files(module: str) -> list[Path]:
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"there is no module {module}"
    if spec.submodule_search_locations:
        return [
            file for place in spec.submodule_search_locations for file in sorted(Path(place).rglob("*.py"))
        ]
    return [Path(str(spec.origin))]


def _unpickles(tree: ast.AST) -> list[int]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [node.lineno for name in node.names if name.name.split(".")[0] in _FORBIDDEN]
        elif (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _FORBIDDEN) or (
            isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
        ):
            found.append(node.lineno)
    return found
