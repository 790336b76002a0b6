"""Which images get captions, by whom, and which entries of a stage let the next model learn from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.caption.tiny_llava import build_tiny_llava
from vila2.cycle.improve import improve, run_recipe
from vila2.cycle.specialist_augmentation import share_of_images, specialist_augment
from vila2.cycle.training import Cycle
from vila2.data.layers import Annotation, Layer, LayerWriter
from vila2.data.portions import select_range
from vila2.data.shards import ShardDataset, write_dataset
from vila2.errors import RunError
from vila2.model.digest import digest_folder
from vila2.recipe.recipe import Recipe
from vila2.run.board import Board
from vila2.run.steps import Run
from vila2.sources import open_source
from vila2.train.mixture import open_mixture
from vila2.train.train_settings import TrainSettings

RECIPE = {
    "name": "tiny",
    "threads": 1,
    "data": {
        "pairs": {"source": "world", "options": {"split": "pretrain", "count": 8, "content": "alt_text"}},
        "instructions": {
            "source": "world",
            "options": {"split": "sft", "count": 4, "content": "instructions"},
        },
    },
    "model": {
        "vision": "builtin:world/vision", "language": "builtin:world/language", "vision_feature_layer": -1,
    },
    "stages": {
        "pretrain": {"mixture": [{"dataset": "pairs"}], "batch_size": 8, "style": "chat"},
        "sft": {
            "mixture": [{"dataset": "instructions"}],
            "train": ["projector", "language"],
            "batch_size": 4,
        },
    },
    "cycle": {"rounds": 1, "max_new_tokens": 8, "max_unusable": 1},
}  # fmt: skip
FINDING = {"data": {"source": "world", "options": {"split": "specialist", "count": 16}}}


def recipe_with(pretrain: list[dict] | None = None, cycle: dict | None = None, **more: Any) -> Recipe:
    stages = RECIPE["stages"]
    if pretrain:
        stages = stages | {"pretrain": stages["pretrain"] | {"mixture": pretrain}}
    return Recipe.model_validate(RECIPE | {"stages": stages, "cycle": RECIPE["cycle"] | (cycle or {})} | more)


def planned(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """The settings of every step of a dry walk, by its name."""
    run = Run.open(folder / "run", dry=True)
    found, step = {}, run.step

    def noted(name: str, function: Any, **about: Any) -> Any:
        found[name] = about["settings"]
        return step(name, function, **about)

    run.step = noted
    improve(recipe, run)
    return found


def seen(settings: TrainSettings) -> list[tuple[str, str, list[float]]]:
    return [(one.dataset, one.view, list(one.select)) for one in settings.stage.mixture]


def test_new_captions_join_only_what_sees_the_original_alone(tmp_path):
    first = {"dataset": "pairs", "select": [0, 0.5]}
    second = {"dataset": "pairs", "select": [0.5, 1], "view": "only(spatial)"}
    data = RECIPE["data"] | {"pairs": RECIPE["data"]["pairs"] | {"layers": {"spatial": str(tmp_path)}}}
    steps = planned(recipe_with([first, second], {"share": 0.5, "rounds": 2}, data=data), tmp_path)
    for number, view in enumerate(("only(original)", "concat(original,self-1)", "concat(original,self-2)")):
        assert seen(steps[f"vila{number}-pretrain"]) == [
            ("pairs", view, [0, 0.5]),
            ("pairs", "only(spatial)", [0.5, 1]),
        ]


@pytest.mark.usefixtures("site")
def test_a_share_stands_once_more_with_what_a_specialist_says_of_it(tmp_path):
    recipe = recipe_with(specialists={"finding": FINDING}, specialist_data="share")
    steps = planned(recipe, tmp_path)
    assert list(steps["finding-layer"].select) == [0, 0.05], "no image is annotated for nothing"
    assert "merged" not in steps
    assert seen(steps["final-pretrain"]) == [
        ("pairs", "concat(original,self-1)", [0, 1]),
        ("pairs", "dialogue(finding)", [0, 0.05]),
    ]


@pytest.mark.usefixtures("site")
def test_a_share_is_one_of_the_images_that_are_selected(tmp_path):
    use = FINDING | {"select": [0.5, 1]}
    recipe = recipe_with(cycle={"share": [0.2, 0.6]}, specialists={"finding": use}, specialist_data="share")
    steps = planned(recipe, tmp_path)
    asked = list(steps["finding-layer"].select)
    assert asked == pytest.approx([0.4, 0.41])
    (entry,) = steps["final-pretrain"].stage.mixture[1:]
    assert list(entry.select) == asked

    # The mixture as it is read: those images, each with what the specialist says, and no other.
    write_dataset(
        tmp_path / "pairs",
        open_source("world", split="pretrain", count=400, content="alt_text"),
        name="pairs",
    )
    dataset = ShardDataset.open(tmp_path / "pairs")
    keys, writer = [], LayerWriter(tmp_path / "finding", "finding")
    for shard_no in range(len(dataset.shards)):
        own = [key for key in dataset.shard_keys(shard_no) if select_range(key, *asked, recipe.seed)]
        keys += own
        writer.write_shard(shard_no, [Annotation(key, "Find it.", "It is there.", "ok") for key in own])
    writer.finish({})
    stage = steps["final-pretrain"].stage.model_copy(update={"mixture": (entry,)})
    inputs = {"data.pairs": tmp_path / "pairs", "layer.pairs.finding": tmp_path / "finding"}
    mixture = open_mixture(stage, inputs, recipe.seed)
    assert [sample.key for sample in mixture] == keys and 0 < len(keys) < 20
    assert all(sample.turns[-1].text == "It is there." for sample in mixture) and not mixture.lacking


def test_specialists_that_are_asked_about_other_images_stand_apart(tmp_path):
    selects = {"a": [0, 0.5], "b": [0.5, 1], "c": [0, 0.5]}
    specialists = {name: FINDING | {"select": select} for name, select in selects.items()}
    recipe = recipe_with(specialists=specialists, specialist_data="share")
    entries = share_of_images(Cycle(recipe, Run.open(tmp_path / "run", dry=True)))
    assert [(entry.view, entry.select) for entry in entries] == [
        ("dialogue(a,c)", (0, 0.025)),
        ("dialogue(b)", (0.5, 0.525)),
    ]


def test_rounds_that_end_before_the_base_say_so_before_the_specialists_are_made(tmp_path):
    recipe = recipe_with(cycle={"rounds": 3}, specialists={"finding": FINDING}, merge={"base": "self-3"})
    cycle = Cycle(recipe, Run.open(tmp_path / "run", dry=True))
    cycle.layers = dict.fromkeys(["self-1", "self-2"])
    with pytest.raises(
        RunError, match=r"merge\.base: the rounds ended .* 'self-3'; there is: self-1, self-2"
    ):
        specialist_augment(cycle, None)


def test_an_outside_captioner_writes_the_captions_that_the_next_model_learns_from(tmp_path):
    build_tiny_llava(tmp_path / "captioner")
    recipe = recipe_with(cycle={"captioner": str(tmp_path / "captioner"), "share": 0.5, "max_new_tokens": 60})
    run_recipe(recipe, tmp_path / "run", dry_run=False, progress=Board())
    (folder,) = tmp_path.glob("run/steps/self-1-*")
    layer, model = Layer.open(folder), digest_folder(tmp_path / "captioner")
    assert (layer.info["engine"], layer.info["digest"]) == ("captioner", model), "not VILA_0"
    results = json.loads((tmp_path / "run/results.json").read_text())
    (told,) = (one for one in results["layers"] if one["name"] == "self-1")
    assert told["written_by"] == str(tmp_path / "captioner") and told["captions"] == layer.count
    done = json.loads(next(tmp_path.glob("run/steps/vila1-pretrain-*/done.json")).read_text())
    usable = layer.statuses.get("ok", 0)
    assert 0 < layer.count < 8
    assert done["results"]["lacking"] == {"pairs through concat(original,self-1)": {"self-1": 8 - usable}}
