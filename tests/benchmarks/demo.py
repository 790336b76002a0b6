"""The whole loop on the miniature world, as `make demo` runs it, against three CPU minutes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import Comparison, cpu_seconds

_RECIPE = Path(__file__).parents[2] / "examples/miniature.yaml"
_ALLOWED = 180.0  # CPU seconds
_CAUSE = "two models are trained in three stages each, and both are asked about 500 images"


def compare() -> Iterator[Comparison]:
    """Measures one run with all processes that it starts."""
    with tempfile.TemporaryDirectory() as folder:
        started = cpu_seconds()
        subprocess.run(
            [sys.executable, "-m", "vila2", "run", str(_RECIPE), "--out", f"{folder}/run"],
            env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        took = cpu_seconds() - started
        assert Path(folder, "run/results.json").is_file()
    yield Comparison(
        "demo: runs", 3600 / took, 3600 / _ALLOWED, "runs a CPU hour", 1, "three minutes each", _CAUSE
    )
