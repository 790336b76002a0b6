"""Layers written before a run: trained on through their views, and part of what a step is a function of."""

from __future__ import annotations

import pytest

from vila2.cycle.improve import improve
from vila2.cycle.training import Cycle
from vila2.data.layers import Annotation, LayerWriter
from vila2.data.shards import ShardDataset, write_dataset
from vila2.errors import RecipeError
from vila2.recipe.recipe import Recipe
from vila2.run.steps import Run
from vila2.sources import open_source
from vila2.sources.first_samples import first_samples
from vila2.train.mixture import open_mixture

PARTS = {"vision": "builtin:world/vision", "language": "builtin:world/language"}


def write_layer(folder, dataset, text):
    writer = LayerWriter(folder, "ocr")
    writer.write_shard(0, [Annotation(key, "What is written?", text, "ok") for key in dataset.shard_keys(0)])
    writer.finish({})


@pytest.fixture
def recipe(tmp_path) -> Recipe:
    write_dataset(
        tmp_path / "photos", open_source("world", split="pretrain", count=10, content="alt_text"), name="p"
    )
    write_layer(tmp_path / "ocr", ShardDataset.open(tmp_path / "photos"), "stop")
    spec = {"source": "shards", "path": str(tmp_path / "photos"), "layers": {"ocr": str(tmp_path / "ocr")}}
    mixture = [
        {"dataset": "photos", "select": [0, 0.5]},
        {"dataset": "photos", "select": [0.5, 1], "view": "dialogue(original,ocr)"},
    ]
    return Recipe.model_validate(
        {
            "name": "brought",
            "data": {"photos": spec, "unused": {"source": "shards", "path": str(tmp_path / "nowhere")}},
            "model": PARTS,
            "stages": {"pretrain": {"mixture": mixture}},
            "cycle": {"rounds": 0},
        }
    )


def test_a_stage_trains_on_a_layer_that_was_written_before(recipe, tmp_path):
    cycle = Cycle(recipe, Run.open(tmp_path / "run", dry=True))
    cycle.data = {"photos": cycle.run.existing("data-photos", tmp_path / "photos")}
    stage = recipe.stages["pretrain"]
    inputs = {name: step.folder for name, step in cycle.inputs_of(stage).items()}
    mixture = open_mixture(stage, inputs, recipe.seed)
    assert len(mixture) == 10
    spoken = [[turn.text for turn in sample.turns if turn.source == "ocr"] for sample in mixture]
    few = mixture.counts[0]
    assert 0 < few < 10
    assert spoken == [[]] * few + [["What is written?", "stop"]] * (10 - few)


def test_another_content_of_the_layer_makes_the_stage_be_trained_again(recipe, tmp_path):
    def planned() -> dict[str, str]:
        run = Run.open(tmp_path / "run", dry=True)
        improve(recipe, run)
        return {step.name: step.digest for step in run.plan}

    before = planned()
    write_layer(tmp_path / "ocr", ShardDataset.open(tmp_path / "photos"), "go")
    after = planned()
    assert before["parts"] == after["parts"] and before["vila0-pretrain"] != after["vila0-pretrain"]


def test_preflight_opens_the_layers_and_leaves_unused_data_alone(recipe, tmp_path):
    assert list(first_samples(recipe.data_in_use)) == ["photos"]
    (tmp_path / "ocr" / "layer.json").unlink()
    with pytest.raises(RecipeError, match=r"data\.photos: .*ocr"):
        first_samples(recipe.data_in_use)
