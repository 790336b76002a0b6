"""Plugins that are told of a trained stage: they cost no stage, and a failed one is told again."""

from __future__ import annotations

import pytest

from tests.cycle.telling_site import telling_installed
from tests.plugin.packages import install
from vila2.cycle.improve import run_recipe
from vila2.errors import PluginError
from vila2.recipe.file.recipe_file import load_recipe
from vila2.run.board import Board

RECIPE = """
name: tiny
data:
  pairs: {source: world, options: {split: pretrain, count: 4, content: alt_text}}
model: {vision: "builtin:world/vision", language: "builtin:world/language", vision_feature_layer: -1}
stages:
  align: {mixture: [{dataset: pairs}]}
cycle: {rounds: 0}
"""


@pytest.fixture
def told(tmp_path):
    with telling_installed(tmp_path / "site") as file:
        yield file


def run(tmp_path, *plugins):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    recipe = load_recipe(tmp_path / "recipe.yaml", overrides=[f"plugins=[{','.join(plugins)}]"])
    return run_recipe(recipe, tmp_path / "run", dry_run=False, progress=Board())


def test_a_failing_plugin_costs_no_stage_and_is_told_again(told, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("FAILS", "yes")
    failed = run(tmp_path, "tells")
    (done,) = (tmp_path / "run" / "steps").glob("vila0-align-*/done.json")
    trained = done.stat().st_mtime_ns
    assert told.read_text() == "align\n" and "(vila2-tells 1.0)" in caplog.text
    assert "SystemExit: no network" in caplog.text
    (note,) = [one for one in failed["told"] if "a plugin failed" in one]
    assert "After VILA_0, stage 'align'" in note and "SystemExit: no network" in note
    assert "the same command calls the plugin again" in note
    report = tmp_path / "run" / "report.html"
    assert "SystemExit: no network" in report.read_text()
    monkeypatch.setenv("FAILS", "")
    for _ in range(2):
        assert not [one for one in run(tmp_path, "tells")["told"] if "a plugin failed" in one]
    assert "no network" not in report.read_text()
    assert told.read_text() == "align\nalign\n", "told again, and once it worked no more"
    assert done.stat().st_mtime_ns == trained, "the stage is not trained again"


def test_a_plugin_that_is_added_later_is_told_without_training(told, tmp_path):
    run(tmp_path)
    (done,) = (tmp_path / "run" / "steps").glob("vila0-align-*/done.json")
    trained = done.stat().st_mtime_ns
    run(tmp_path, "tells")
    (again,) = (tmp_path / "run" / "steps").glob("vila0-align-*/done.json")
    assert (again, again.stat().st_mtime_ns) == (done, trained) and told.read_text() == "align\n"


def test_a_plugin_that_cannot_be_told_stops_the_run_before_it_begins(told, tmp_path):
    code = "from vila2.plugin import hookimpl\n\n@hookimpl\ndef vila2_specialists():\n    return []\n"
    install(tmp_path / "site", "vila2-deaf", code, entry="deaf")
    with pytest.raises(PluginError, match=r"'deaf' \(vila2-deaf 1.0\) does not implement vila2_after_stage"):
        run(tmp_path, "deaf")
    assert not (tmp_path / "run" / "steps").exists()
