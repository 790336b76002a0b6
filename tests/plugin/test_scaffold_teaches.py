"""What a new specialist learns before its author has changed a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.plugin.scaffolded import installed
from vila2.plugin.scaffolding import new_plugin

pytestmark = pytest.mark.slow


def test_a_new_specialist_as_it_stands_teaches_the_shipped_generalist(tmp_path):
    """Measured with seed 0: see "Write one in an afternoon" in docs/plugins.md."""
    folder = new_plugin("mine", tmp_path)[0].parent
    installed(folder, tmp_path / "site")
    places = [str(tmp_path / "site"), str(folder / "src"), os.environ.get("PYTHONPATH", "")]
    words = ("specialize", "--plugin", "mine", "--from", "builtin:miniature", "--json", "-q")
    done = subprocess.run(
        [sys.executable, "-m", "vila2", *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads((tmp_path / "runs/miniature-mine/results.json").read_text())
    print(json.dumps(results["models"], indent=1))
    assert results
