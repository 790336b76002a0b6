"""How a specialist is trained if its recipe leaves that to the generalist: the miniature, or a real VLM."""

from importlib.resources import files

import pytest

from vila2.errors import RecipeError
from vila2.model.shipped import is_miniature
from vila2.recipe.parts.stage import StageSpec
from vila2.recipe.specialist_defaults import count_in_words, rate_in_words, reason
from vila2.recipe.specialist_recipe import read_specialist_recipe

TEXT = """
stages:
  tune: {mixture: [{dataset: qa}]}
miniature:
  data: {source: world}
  build: {questions: 4}
  stages:
    tune: {train: [projector, language], learning_rate: 1.5e-3, batch_size: 8}
"""


def read(text: str = TEXT, *overrides: str, miniature: bool = False):
    return read_specialist_recipe(text, where="some.yaml", overrides=overrides, miniature=miniature)


def test_a_real_vlm_gets_adapters_at_the_papers_rate_and_no_toy_scenes():
    recipe = read()
    stage = recipe.stages["tune"]
    assert stage.lora.rank == 64 and stage.learning_rate == 1e-4 and stage.train == ("projector", "language")
    assert stage.batch_size == 64 and stage.device_batch_size == 4 and stage.gradient_checkpointing
    assert recipe.data is None and recipe.build == {}
    assert recipe.left_to_the_generalist == {"tune"}


def test_the_miniature_is_trained_as_its_part_of_the_recipe_says():
    recipe = read(miniature=True)
    stage = recipe.stages["tune"]
    assert (stage.lora, stage.learning_rate, stage.batch_size) == (None, 1.5e-3, 8)
    assert recipe.data.source == "world" and recipe.build == {"questions": 4}
    assert not recipe.left_to_the_generalist


@pytest.mark.parametrize("said", ["learning_rate: 3.0e-5", "train: [language]", "lora: null"])
def test_a_stage_that_says_how_it_is_trained_is_its_authors(said):
    stage = read(TEXT.replace("mixture: [{dataset: qa}]", f"mixture: [{{dataset: qa}}], {said}", 1)).stages[
        "tune"
    ]
    assert stage.lora is None and stage.batch_size == 1024


def test_settings_on_the_command_line_change_one_thing_and_leave_the_rest():
    changed = read(TEXT, "stages.tune.learning_rate=5e-5", "stages.tune.batch_size=6").stages["tune"]
    assert (changed.lora.rank, changed.learning_rate, changed.device_batch_size) == (64, 5e-5, 2)
    assert read(TEXT, "stages.tune.lora.rank=8").stages["tune"].lora.rank == 8
    full = read(TEXT, "stages.tune.lora=null").stages["tune"]
    assert (full.lora, full.learning_rate) == (None, 2e-5)
    with pytest.raises(RecipeError, match="LoRA trains the language model") as error:
        read(TEXT, "stages.tune.train=[projector, language, vision]")
    assert "--set stages.tune.train" in str(error.value) or "stages.tune.lora" in str(error.value)


def test_every_mistake_is_named_at_its_line_or_setting():
    text = TEXT.replace("mixture: [{dataset: qa}]", "mixture: [{dataset: qa}], epoch: 2, batch_size: many", 1)
    with pytest.raises(RecipeError) as error:
        read(text.replace("stages:", "stat: sft\nstages:", 1), "held_out", "evaluate.limi=3", "seed=-1")
    said = str(error.value)
    for named in (
        "some.yaml:2: stat: there is no such key; did you mean 'start'?",
        "some.yaml:4: stages.tune.epoch: there is no such key; did you mean 'epochs'?",
        "some.yaml:4: stages.tune.batch_size: should be a valid integer",
        "--set held_out: not of the form key=value",
        "--set evaluate.limi=3: evaluate.limi: there is no such key; did you mean 'limit'?",
        "--set seed=-1: seed: should be greater than or equal to 0",
    ):
        assert named in " ".join(said.split("\n  ")), (named, said)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "stages.tune.mixture.7.weight=1",
            "--set stages.tune.mixture.7.weight=1: stages.tune.mixture.7.weight: the list",
        ),
        (
            "stages.tune.mixture.0.weight=0",
            "--set stages.tune.mixture.0.weight=0: stages.tune.mixture.0.weight: should",
        ),
        (
            "stages.tun.epochs=2",
            "--set stages.tun.epochs=2: stages.tun: there is no stage 'tun'; did you mean 'tune'?",
        ),
    ],
)
def test_a_setting_that_fits_nowhere_is_told_alone(override, said):
    with pytest.raises(RecipeError) as error:
        read(TEXT, override)
    lines = str(error.value).splitlines()
    assert len(lines) == 2 and said in lines[0]


def test_a_mistake_in_the_miniatures_part_has_its_own_line():
    with pytest.raises(RecipeError, match=r"some.yaml:8: stages.tune.learning_rat: .*'learning_rate'"):
        read(TEXT.replace("learning_rate", "learning_rat"), miniature=True)


def test_the_reason_names_adapters_rate_and_size():
    stage = read().stages["tune"]
    said = reason(stage, left=True, miniature=False, parameters=2_100_000_000, recipe="ocr.yaml")
    assert said == "LoRA r=64, 1e-4, because the model has 2.1B parameters and is not the miniature"
    assert [rate_in_words(rate) for rate in (2e-5, 1.5e-3, 1.0, 1e-4)] == ["2e-5", "1.5e-3", "1e0", "1e-4"]
    assert [count_in_words(n) for n in (999, 40_000, 135_000_000, 7_000_000_000)] == [
        "999",
        "40K",
        "135M",
        "7B",
    ]


def test_the_miniature_is_known_by_its_vision_tower(tmp_path):
    assert is_miniature("builtin:world/vision") and not is_miniature("some/vlm")
    (tmp_path / "config.json").write_text(
        '{"model_type": "vila2", "vision_config": {"model_type": "siglip_vision_model"}}'
    )
    assert not is_miniature(tmp_path)
    (tmp_path / "config.json").write_text("[")
    assert not is_miniature(tmp_path)


SHIPPED = {
    "ocr": ("reading", 6, {"source": "world", "count": 3000}, {"text": 1.0, "run:sft": 0.15}, 60),
    "grounding": ("grounding", 6, {"source": "world", "count": 1000}, {"grounded": 1.0, "run:sft": 0.5}, 120),
    "spatial": ("relations", 6, {"source": "world", "count": 1000}, {"relations": 1.0, "run:sft": 1.0}, 120),
}


@pytest.mark.parametrize("plugin", SHIPPED)
def test_shipped_plugins_keep_what_was_tuned_for_the_miniature(plugin):
    pytest.importorskip(f"vila2_{plugin}", reason="the plugin is not installed")
    text = (files(f"vila2_{plugin}") / "recipe.yaml").read_text()
    name, epochs, data, mixture, words = SHIPPED[plugin]
    recipe = read(text, miniature=True)
    in_full = StageSpec(
        train=("projector", "language"),
        mixture=recipe.stages[name].mixture,
        style="chat",
        learning_rate=1.5e-3,
        batch_size=8,
        epochs=epochs,
        deepspeed=3,
    )
    assert recipe.stages[name] == in_full  # a step's digest is made of these
    assert {entry.dataset: entry.weight for entry in recipe.stages[name].mixture} == mixture
    assert (recipe.data.source, recipe.data.options["count"]) == (data["source"], data["count"])
    assert recipe.annotate.max_new_tokens == words
    real = read(text)
    assert real.stages[name].lora and real.stages[name].learning_rate == 1e-4 and real.data is None
