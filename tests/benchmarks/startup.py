"""CPU seconds of light commands, with 24 plugins installed, against the quarter of a second they may take.

Bytecode is written in the first round, which is not counted, as it is when a package is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import Comparison, cpu_seconds
from tests.benchmarks.layers import made_dataset

_PLUGINS = 24
_ALLOWED = 0.25  # CPU seconds
_ROUNDS = 5
_CAUSE = "half of it is Python, typer, and the pydantic that typer reads options with"


def compare() -> Iterator[Comparison]:
    """Measures each command in processes of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(_PLUGINS):
            _install(folder / "site", f"bench{number}")
        made_dataset(folder / "data", 1000)
        listed = _run(folder, "plugins", "list")
        assert sum("bench" in line for line in listed.splitlines()) == _PLUGINS
        for words in (
            ["--version"],
            ["--help"],
            ["plugins", "list"],
            ["data", "stats", str(folder / "data")],
        ):
            _run(folder, *words)
            taken = []
            for _ in range(_ROUNDS):
                started = cpu_seconds()
                _run(folder, *words)
                taken.append(cpu_seconds() - started)
            shown = " ".join(word for word in words if word != str(folder / "data"))
            yield Comparison(
                f"startup: vila2 {shown}", 1 / sorted(taken)[_ROUNDS // 2], 1 / _ALLOWED, "commands/s", 1,
                "a quarter of a second", _CAUSE,
            )  # fmt: skip


def _run(folder: Path, *words: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    paths = os.pathsep.join(filter(None, [str(folder / "site"), kept.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "vila2", *words],
        env=kept | {"PYTHONPATH": paths, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def _install(site: Path, name: str) -> None:
    """What pip leaves of a package that brings a specialist, as far as a list of plugins reads it."""
    facts = site / f"{name}-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[vila2.specialists]\n{name} = {name}:Plugin\n")
