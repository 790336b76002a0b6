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


def test_a_new_specialist_teaches_the_shipped_generalist_as_it_stands(tmp_path):
    """Its recipe's own data, rates and epochs; docs/plugins.md states what they gave."""
    folder = new_plugin("mine", tmp_path)[0].parent
    installed(folder, tmp_path / "site")
    places = [str(tmp_path / "site"), str(folder / "src"), os.environ.get("PYTHONPATH", "")]
    words = ("specialize", "--plugin", "mine", "--from", "builtin:miniature", "-q")
    done = subprocess.run(
        [sys.executable, "-m", "vila2", *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)
    results = json.loads((tmp_path / "runs/miniature-mine/results.json").read_text())
    before, after = ({one["name"]: one["value"] for one in model["measures"]} for model in results["models"])
    assert after["objects named"] > before["objects named"] + 0.3, (before, after)
    assert after["named objects that are there"] > 0.7, (before, after)
