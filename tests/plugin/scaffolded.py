"""New plugins as the command line writes them, installed, and their own tests run."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path


def installed(folder: Path, site: Path) -> None:
    """Puts a package's metadata onto the path, as an editable install does."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    metadata = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        + "".join(f"Requires-Dist: {one}\n" for one in project["dependencies"])
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {module}" for name, module in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines))


def run_tests(folders: Sequence[Path], site: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Runs the packages' own tests in a process of their own."""
    places = [str(site), *(str(folder / "src") for folder in folders), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "vila2.testing.fixtures", "-p", "no:cacheprovider",
         *more, *map(str, folders)],
        capture_output=True,
        text=True,
        cwd=folders[0].parent,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(filter(None, places)), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        check=False,
    )  # fmt: skip


def changed(folder: Path, file: str, old: str, new: str) -> None:
    """Replaces a piece of a package's code that must be there."""
    (path,) = folder.glob(f"src/*/{file}")
    text = path.read_text()
    assert old in text, f"{file} has no {old!r}"
    path.write_text(text.replace(old, new))
