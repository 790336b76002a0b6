"""A run made before steps had declared names: it is found finished, and nothing of it is done again.

``fixtures/run-of-0609ffc.tar.xz`` was made at that commit from the recipe below, with a step of every kind.
Its projector was that time's default, which hands image tokens over column by column.
Weights and shards that a finished run does not read are left out.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from vila2.cycle.improve import run_recipe
from vila2.recipe.file.recipe_file import load_recipe
from vila2.run.board import Board

OLD = Path(__file__).parent / "fixtures/run-of-0609ffc.tar.xz"
#: What the recipe said, and a default, at that time.
AS_THEN = ["model.projector=mlp_downsample", "cycle.max_new_tokens=40"]
CONTROLS = ["shuffled-captions", "true-captions", "unchecked-merge", "twice-sft", "specialist-share"]

pytestmark = pytest.mark.usefixtures("site")


@pytest.fixture
def old(tmp_path) -> Path:
    with tarfile.open(OLD) as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / "run-of-0609ffc"


def test_nothing_of_an_old_run_is_done_again(old, recipe_file):
    recipe = load_recipe(recipe_file, [*AS_THEN, f"controls={json.dumps(CONTROLS)}"])
    planned = run_recipe(recipe, old, dry_run=True, progress=Board())["plan"]
    assert {step.state for step in planned} == {"done"}
    before = {path: path.stat().st_mtime_ns for path in old.glob("steps/*/done.json")}
    assert len(planned) == len(before) > 30
    assert len({json.loads(path.read_text())["function"] for path in before}) == 13, "a step of every kind"
    results = json.loads((old / "results.json").read_text())
    run_recipe(recipe, old, dry_run=False, progress=Board())
    assert {path: path.stat().st_mtime_ns for path in old.glob("steps/*/done.json")} == before
    again = json.loads((old / "results.json").read_text())
    assert again["models"] == results["models"]


def test_an_upgraded_plugin_annotates_and_is_merged_anew(old, recipe_file, site):
    recipe = load_recipe(recipe_file, AS_THEN)
    metadata = site / "vila2_finding-1.0.dist-info" / "METADATA"
    before = metadata.read_text()
    metadata.write_text(before.replace("Version: 1.0", "Version: 1.1"))
    try:
        planned = run_recipe(recipe, old, dry_run=True, progress=Board())["plan"]
    finally:
        metadata.write_text(before)
    anew = {step.name for step in planned if step.state != "done"}
    assert {"finding-layer", "merged"} <= anew and "finding-tune" not in anew
