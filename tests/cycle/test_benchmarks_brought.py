"""Benchmarks that a plugin brings: asked of a model, scored by the plugin, and looked for before any work."""

import json
import sys

import pytest

from tests.plugin.packages import install
from vila2.cycle.improve import run_recipe
from vila2.data.shards import write_dataset
from vila2.errors import PluginError, RecipeError
from vila2.evaluate.score_step import ScoredBenchmark, ScoreSettings, evaluate
from vila2.model.assemble import assemble
from vila2.model.saving import save_model
from vila2.recipe.file.recipe_file import load_recipe
from vila2.run.board import Board
from vila2.sources import open_source

CODE = """
from vila2 import Items
def score(asked):
    keys = [one.said.key for one in asked]
    said = [len(one.said.text.split()) for one in asked]
    meant = [len(one.reference.text.split()) for one in asked]
    both = {"said": said, "meant": meant}
    return {name: Items.of_means(keys, words, "words", None) for name, words in both.items()}

def guess(asked):
    return {"right": 0.5}
"""

RECIPE = """
name: tiny
data:
  pairs: {{source: world, options: {{split: pretrain, count: 4, content: alt_text}}}}
  test: {{source: world, options: {{split: test, count: 4, content: instructions, questions: 2}}}}
model: {{vision: "builtin:world/vision", language: "builtin:world/language", vision_feature_layer: -1}}
stages:
  align: {{mixture: [{{dataset: pairs}}]}}
cycle: {{rounds: 0}}
evaluate:
  - {{name: talk, dataset: test, kind: {kind}}}
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    install(
        folder, "vila2-wordy", CODE, entry="wordiness", version="1.5", kind="benchmarks", function="score"
    )
    (entries,) = folder.glob("*.dist-info/entry_points.txt")
    others = "broken = vila2_wordy:nothing\nnumberless = vila2_wordy:guess\n"
    entries.write_text(entries.read_text() + others)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("vila2_wordy", None)


def plan(tmp_path, kind):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(kind=kind))
    return run_recipe(load_recipe(path), tmp_path / "run", dry_run=True, progress=Board())["plan"]


def test_what_a_plugin_scores_is_measured_with_intervals_and_kept(site, tmp_path):
    samples = open_source("world", split="test", count=3, content="instructions", questions=2)
    write_dataset(tmp_path / "talks", samples, name="talks")
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, tmp_path / "model")
    specs = [
        ScoredBenchmark(name=kind, kind=kind, dataset="talks", max_new_tokens=4)
        for kind in ("wordiness", "numberless")
    ]
    inputs = {"model": tmp_path, "data.talks": tmp_path / "talks"}
    settings = ScoreSettings(benchmarks=tuple(specs[:1]), seed=0, dtype="float32")
    results = evaluate(tmp_path, settings, inputs, Board())
    said = json.loads((tmp_path / "said-wordiness.json").read_text())
    measures = {row["name"]: row for row in results["measures"]}
    assert len(said) == measures["said"]["count"] >= 3
    for name, column in (("said", "said"), ("meant", "answer")):
        words = [len(row[column].split()) for row in said]
        assert measures[name]["value"] == pytest.approx(sum(words) / len(words))
        assert measures[name]["low"] <= measures[name]["value"] <= measures[name]["high"]
    assert json.loads((tmp_path / "items.json").read_text())["wordiness/said"]["unit"] == "words"
    with pytest.raises(PluginError, match=r"'numberless' \(vila2-wordy 1\.5\): gives no items by"):
        other = settings.model_copy(update={"benchmarks": tuple(specs[1:])})
        evaluate(tmp_path, other, inputs, Board())


def test_an_unknown_kind_is_named_before_any_work(site, tmp_path):
    with pytest.raises(RecipeError, match="no kind of benchmark 'wordines'") as failure:
        plan(tmp_path, "wordines")
    assert "wordiness" in failure.value.hint
    with pytest.raises(PluginError, match="vila2_wordy has no 'nothing'"):
        plan(tmp_path, "broken")
    with pytest.raises(RecipeError, match="as they stand"):
        plan(tmp_path, "wordiness, prompt: 'Answer: {question}'")


def test_another_version_of_the_plugin_measures_anew(site, tmp_path):
    first = plan(tmp_path, "wordiness")
    (metadata,) = site.glob("*.dist-info/METADATA")
    metadata.write_text(metadata.read_text().replace("1.5", "1.6"))
    again = plan(tmp_path, "wordiness")
    changed = [one.name for one, other in zip(first, again, strict=True) if one.digest != other.digest]
    assert changed == ["vila0-scores"]
