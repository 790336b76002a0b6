"""A whole cycle with specialist, merge and control is killed and goes on: the results are the same."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cycle.timeless_page import timeless

ROOT = Path(__file__).parents[2]
RECIPE = """
extends: tiny.yaml
cycle: {max_new_tokens: 30, batch_size: 4, saturation: {measure: questions, delta: 1.0}}
specialists: {finding: {data: {options: {count: 12}}}}
merge: {base: self-1}   # whichever round does better
controls: [unchecked-merge]
evaluate:
  - {name: captions, kind: captions, dataset: test, max_new_tokens: 20, batch_size: 2}
  - {name: questions, kind: questions, dataset: test, max_new_tokens: 4, batch_size: 8}
report: {examples: 3}
"""
CODE = """
import sys
from tests.run.killable_run import end_at
from vila2.cli.main import main

touch, place = sys.argv.pop(1), sys.argv.pop(1)
end_at(int(touch), place, 9)
main()
"""


def run(recipe: Path, folder: Path, site: Path, *, touch: int) -> int:
    """``vila2 run`` in a process of its own, killed before its n-th touch of a path in the run's folder."""
    command = [sys.executable, "-c", CODE, str(touch), str(folder)]
    places = os.pathsep.join(map(str, [ROOT / "tests/run", ROOT, site]))
    done = subprocess.run(
        [*command, "run", str(recipe), "--out", str(folder), "--quiet", "--json"],
        env=os.environ | {"PYTHONPATH": places, "CI": "true"},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


@pytest.mark.slow
def test_a_cycle_killed_again_and_again_ends_as_one_left_alone(site, recipe_file, tmp_path):
    recipe = recipe_file.parent / "killed.yaml"
    recipe.write_text(RECIPE)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(recipe, whole, site, touch=0) == 0
    chance = random.Random(11)
    at = []  # the step that each kill came upon; empty between two
    for _ in range(20):
        if run(recipe, killed, site, touch=chance.randint(200, 900)) == 0:
            break
        begun = {path for path in killed.glob("steps/*") if not (path / "done.json").exists()}
        at.append(", ".join(sorted(path.name for path in begun)))
    else:
        assert run(recipe, killed, site, touch=0) == 0
    assert sum(map(bool, at)) >= 3, at
    assert (killed / "results.json").read_bytes() == (whole / "results.json").read_bytes(), at
    assert timeless(killed / "report.html") == timeless(whole / "report.html"), at
    found = json.loads((whole / "results.json").read_text())
    assert [model["name"] for model in found["models"]] == ["VILA_0", "VILA_1", "VILA²", "unchecked-merge"]
    assert found["merge"]["sources"].keys() == {"original", "self-1", "finding"}
