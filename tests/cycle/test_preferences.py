"""Preferences after the rounds, in one recipe: samples, pairs to look at, a model, and its scores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cycle.telling_site import telling_installed
from vila2.cycle.improve import run_recipe
from vila2.data.layers import Layer
from vila2.errors import RecipeError, TrainingError
from vila2.recipe.file.recipe_file import load_recipe
from vila2.run.board import Board

SETTINGS = [
    "cycle.rounds=0",
    "stages.sft.epochs=4",
    "cycle.preference={samples: 3, margin: 0.0, length: free, epochs: 2}",
]


def run(recipe_file, folder: Path, *settings: str) -> Path:
    run_recipe(load_recipe(recipe_file, [*SETTINGS, *settings]), folder, dry_run=False, progress=Board())
    return folder


def layer(folder: Path, name: str) -> Layer:
    (found,) = folder.glob(f"steps/{name}-*/layer.json")
    return Layer.open(found.parent)


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Iterator[Path]:
    with telling_installed(tmp_path_factory.mktemp("telling")) as file:
        yield file


@pytest.fixture(scope="module")
def folder(recipe_file, told, tmp_path_factory) -> Path:
    settings = ["specialists={}", "plugins=[tells]", 'controls=["twice-sft"]']
    return run(recipe_file, tmp_path_factory.mktemp("runs") / "tiny", *settings)


def test_a_model_is_trained_on_pairs_of_its_own_captions_and_is_the_outcome(folder):
    results = json.loads((folder / "results.json").read_text())
    assert [model["name"] for model in results["models"]] == ["VILA_0", "VILA_0 + preferences", "twice-sft"]
    (trained,) = folder.glob("steps/prefer-*/trained.json")
    stage = trained.parent / "done.json"
    assert json.loads(stage.read_text())["results"]["preferred"]
    assert (folder / "model").resolve() == (stage.parent / "model").resolve()


def test_a_plugin_is_told_of_the_stage_on_preferences_too(folder, told):
    stages = told.read_text().split()
    assert stages == ["pretrain", "sft", "prefer", "sft"], "of those before it, and of the control's"


def test_pairs_name_the_better_and_the_worse_caption_and_why(folder):
    pairs, samples = layer(folder, "pairs"), layer(folder, "samples")
    assert pairs.info["samples"]["digest"] == samples.digest and pairs.info["chosen"]["by"] == "agreement"
    by_key: dict[str, list] = {}
    for row in pairs.rows():
        by_key.setdefault(row.key, []).append(row)
    for key, (better, worse) in by_key.items():
        said = {row.text: row for row in samples.get(key)}
        assert (better.status, worse.status) == ("ok", "rejected")
        assert better.text in said and worse.text in said and "agreement" in worse.detail


def test_what_does_not_fit_is_said_before_any_work(recipe_file, tmp_path):
    settings = ["specialists={}", "stages.sft.train=[projector]", "cycle.preference.lora={rank: 2}"]
    with pytest.raises(TrainingError, match="lora adapts the language model"):
        run(recipe_file, tmp_path, *settings)
    assert not list(tmp_path.glob("steps/*"))


def test_preferences_by_specialists_need_some(recipe_file):
    with pytest.raises(RecipeError, match="needs specialists"):
        load_recipe(recipe_file, ["specialists={}", "cycle.preference={by: both}"])


def test_the_caption_that_specialists_refute_least_joins_the_merge(recipe_file, site, tmp_path):
    settings = ["cycle.choose=verified", "cycle.samples=3", "cycle.preference=null", "cycle.rounds=1"]
    folder = run(recipe_file, tmp_path, *settings)
    chosen, samples = layer(folder, "verified"), layer(folder, "samples-verified")
    assert chosen.info["layers"].keys() == {"finding"}
    for row in chosen.rows():
        assert row.text in {one.text for one in samples.get(row.key)}
    assert layer(folder, "merged").info["order"] == ["original", "verified", "finding"]
    with pytest.raises(RecipeError, match="verified needs specialists"):
        load_recipe(recipe_file, ["specialists={}", "cycle.choose=verified"])


def test_specialists_say_what_is_worse(recipe_file, site, tmp_path):
    folder = run(recipe_file, tmp_path, "cycle.preference.by=both")
    assert layer(folder, "pairs").info["layers"].keys() == {"finding"}
    assert all("refuted" in row.detail for row in layer(folder, "pairs").rows())
