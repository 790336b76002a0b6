"""The commands as functions: a whole small run, its model on photos and on a dataset, and the way out."""

from __future__ import annotations

import json

import pytest

import vila2
from tests.families.making import photo
from vila2.errors import DataError, RecipeError

RECIPE = """
name: tiny
threads: 1
data:
  pairs: {source: world, options: {split: pretrain, count: 8, content: alt_text}}
  test: {source: world, options: {split: test, count: 4, content: test, questions: 1}}
model: {vision: "builtin:world/vision", language: "builtin:world/language", vision_feature_layer: -1}
stages:
  pretrain: {mixture: [{dataset: pairs}], batch_size: 4, learning_rate: 5.0e-4, style: chat}
cycle: {rounds: 1, max_new_tokens: 40}
evaluate:
  - {name: questions, kind: questions, dataset: test, max_new_tokens: 4, batch_size: 32}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    (folder / "recipe.yaml").write_text(RECIPE)
    outcome = vila2.improve(folder / "recipe.yaml", folder / "run", settings={"cycle.max_new_tokens": 24})
    return folder / "run", outcome


def test_a_recipe_is_run_with_changed_settings(run):
    folder, outcome = run
    assert set(outcome["models"]) == {"VILA_0", "VILA_1"}
    assert "max_new_tokens: 24" in (folder / "recipe.yaml").read_text()


def test_photos_get_captions_and_the_same_call_goes_on(run, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        (photos / f"{number}.png").write_bytes(photo(number))
    how = {"out": tmp_path / "captions.jsonl", "settings": vila2.GenerationSettings(max_new_tokens=6)}
    found = vila2.recaption(photos, run[0], **how)
    assert found.count == found.new == len((tmp_path / "captions.jsonl").read_text().splitlines()) == 3
    assert vila2.recaption(photos, run[0], **how).new == 0


def test_a_dataset_gets_a_layer_which_leaves_for_another_trainer(run, tmp_path):
    folder, outcome = run
    layer = vila2.recaption(
        outcome["datasets"]["pairs"],
        folder,
        layer="mine",
        limit=2,
        settings=vila2.GenerationSettings(max_new_tokens=6),
    )
    assert layer.count == 2
    exported = vila2.export(folder, tmp_path / "out", to="llava", layers=["original", "mine"])
    assert exported.rows == len(json.loads((tmp_path / "out/data.json").read_text())) == 8
    assert [facts.name for facts in exported.layers] == ["mine"]


def test_captions_need_one_place(tmp_path):
    with pytest.raises(RecipeError, match="a file or a layer"):
        vila2.recaption(tmp_path, "model")


def test_a_misspelled_option_is_named(tmp_path):
    with pytest.raises(RecipeError, match="no option 'prompt'") as raised:
        vila2.recaption(tmp_path, "model", out=tmp_path / "captions.jsonl", prompt="Describe.")
    assert "'prompts'" in raised.value.hint


def test_a_layer_of_the_run_itself_is_not_written_over(run):
    with pytest.raises(DataError, match="belongs to the run itself"):
        vila2.recaption(run[0], run[0], layer="self-1")
