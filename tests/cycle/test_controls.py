"""Controls: what each changes, which of them a recipe can have, and what is said where it cannot."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from vila2.cycle.captioning import recaption
from vila2.cycle.controls.catalog import controls_of
from vila2.cycle.improve import run_recipe
from vila2.cycle.rounds import History
from vila2.cycle.training import Cycle, TrainedGeneralist
from vila2.data.layers import Layer
from vila2.data.portions import select_share
from vila2.data.shards import ShardDataset
from vila2.errors import ModelError, RecipeError
from vila2.recipe.file.recipe_file import load_recipe
from vila2.recipe.recipe import Recipe
from vila2.run.board import Board
from vila2.run.steps import Run
from vila2.sources.import_step import open_dataset

DOCS = Path(__file__).parents[2] / "docs"

pytestmark = pytest.mark.usefixtures("site")


def controlled(name: str, recipe: Recipe) -> Recipe:
    return controls_of(recipe)[name].applied_to(recipe)


def dry(recipe: Recipe, folder: Path):
    return run_recipe(recipe, folder / "run", dry_run=True, progress=Board())["plan"]


@pytest.mark.parametrize("specialists", [[], ["specialists={}"]])
def test_every_control_stands_in_the_docs(recipe_file, specialists):
    text = (DOCS / "controls.md").read_text()
    names = [
        "alone-NAME" if name.startswith("alone-") else name
        for name in controls_of(load_recipe(recipe_file, specialists))
    ]
    assert [name for name in names if f"| `{name}` |" not in text] == []


@pytest.mark.parametrize(
    "name",
    [
        "one-more-epoch",
        "two-more-epochs",
        "true-captions",
        "shuffled-captions",
        "prompt-simple",
        "only-new-captions",
        "more-sft",
    ],
)
def test_every_control_plans_another_training_than_the_recipe(recipe_file, tmp_path, name):
    def trained(recipe: Recipe) -> set[str]:
        return {step.digest for step in dry(recipe, tmp_path) if step.name.endswith(("-pretrain", "-sft"))}

    recipe = load_recipe(recipe_file, ["specialists={}"])
    assert trained(controlled(name, recipe)) != trained(recipe)


def test_a_recipe_of_other_prompts_can_have_the_papers_mixture(recipe_file):
    recipe = load_recipe(recipe_file, ["cycle.prompts=[simple]"])
    mixed = controlled("prompt-mixture", recipe)
    assert mixed.cycle.prompts == ("long-v1", "long-v2", "long-v3")
    assert not mixed.specialists and mixed.cycle.rounds == 1


def test_the_papers_merge_has_no_base_even_where_the_recipe_names_one(recipe_file):
    recipe = load_recipe(recipe_file, ["merge.base=self-1"])
    assert recipe.merge.base == "self-1"
    assert controlled("plain-append", recipe).merge.base is None


def test_specialists_at_equal_data_share_the_images_and_no_image(recipe_file):
    recipe = load_recipe(recipe_file, ["specialists.spatial={}", "specialists.ocr={select: [0, 0.5]}"])
    equal = controlled("specialists-at-equal-data", recipe)
    ends = sorted(use.select for use in equal.specialists.values())
    assert len(ends) == 3 and ends[0][0] == 0 and ends[2][1] == 1
    assert all(high == low for (_, high), (low, _) in pairwise(ends))


def test_true_captions_are_of_as_many_images_as_the_models_own(recipe_file, tmp_path):
    recipe = controlled("true-captions", load_recipe(recipe_file, ["cycle.share=0.5", "seed=3"]))
    with Run.open(tmp_path / "run") as run:
        data = {name: open_dataset(run, name, recipe.data[name]) for name in ("pairs", "true-captions")}
        cycle = Cycle(recipe, run, data=data)
        layer = Layer.open(
            cycle.layers[recaption(cycle, TrainedGeneralist("VILA_0", 0, {}, scores=None))].folder
        )
    keys = ShardDataset.open(data["pairs"].folder).keys()
    chosen = [key for key in keys if select_share(key, 0.5, 3)]
    assert [row.key for row in layer.rows()] == chosen and 0 < len(chosen) < len(keys)


def test_a_control_that_would_change_nothing_says_so(recipe_file):
    recipe = load_recipe(recipe_file, [])
    for name, why in (
        ("first-captions", "where there is one attempt"),
        ("prompt-mixture", "VILA_1 is that row"),
        ("specialists-at-equal-data", "of a single specialist"),
    ):
        with pytest.raises(RecipeError, match=f"{name} says nothing.*{why}"):
            controlled(name, recipe)


@pytest.mark.parametrize(
    ("name", "settings", "why"),
    [
        ("alone-finding", [], "changes nothing"),
        ("plain-append", ["merge.arm=append"], "changes nothing"),
        ("merged-by-model", ["merge.writer=model"], "changes nothing"),
        ("specialist-data-in-sft", ["specialist_data=sft"], "changes nothing"),
        ("specialist-data-equal-passes", ["specialist_data=sft-equal-passes"], "changes nothing"),
        ("specialist-data-equal-total", ["stages.sft.max_steps=9"], "longer by tokens"),
        ("shuffled-captions", ["cycle.captions=shuffled", "specialists={}"], "changes nothing"),
        ("unchecked-merge", ["specialist_data=share"], "no merged caption is trained on"),
        ("unchecked-merge", ["merge.arm=append"], "which checks nothing"),
        ("more-sft", ["cycle.captions=test", "specialists={}"], "'test' are given"),
        ("specialist-data-in-sft", ["specialists.finding={made: folder}"], "it was made before"),
    ],
)
def test_a_control_that_would_be_the_recipe_again_is_refused(recipe_file, name, settings, why):
    with pytest.raises(RecipeError, match=f"controls: {name} .*{why}"):
        controlled(name, load_recipe(recipe_file, settings))


def test_a_control_whose_model_is_trained_anyway_is_refused_before_any_work(recipe_file, tmp_path):
    # A prompt changes no caption that is given, so this would be VILA_1 once more.
    given = [
        "specialists={}",
        "data.told={source: world, options: {split: pretrain, count: 16, content: test}}",
    ]
    recipe = load_recipe(recipe_file, [*given, "cycle.captions=told", "controls=[prompt-simple]"])
    with pytest.raises(RecipeError, match="prompt-simple would be VILA_1 once more"):
        dry(recipe, tmp_path)


def test_documents_are_not_recaptioned_by_a_control_alone(recipe_file, tmp_path):
    documents = ["data.pairs={source: world, options: {split: pretrain, count: 8, content: documents}}"]
    recipe = load_recipe(
        recipe_file, [*documents, "cycle.rounds=0", "specialists={}", "controls=[shuffled-captions]"]
    )
    with pytest.raises(RecipeError, match=r"cycle\.recaption: .*several images"):
        dry(recipe, tmp_path)


def test_a_control_that_a_recipe_can_not_have_says_why(recipe_file):
    recipe = load_recipe(recipe_file, ["cycle.rounds=0", "cycle.stage=alignment", "specialists={}"])
    with pytest.raises(RecipeError, match="no stage 'alignment' to train longer"):
        controlled("one-more-epoch", recipe)
    with pytest.raises(RecipeError, match=r"shuffled-captions cannot be had of this recipe.*alignment"):
        controlled("shuffled-captions", recipe)
    with pytest.raises(RecipeError, match="specialist-share needs specialists"):
        controlled("specialist-share", recipe)
    with pytest.raises(RecipeError, match="more-sft makes stage 'sft' longer by tokens") as caught:
        controlled("more-sft", load_recipe(recipe_file, ["stages.sft.max_steps=3"]))
    assert "stages.sft" in caught.value.hint


def test_what_a_control_needs_is_looked_for_before_any_work(recipe_file, tmp_path):
    def run(*overrides: str) -> None:
        run_recipe(
            load_recipe(recipe_file, list(overrides)), tmp_path / "run", dry_run=False, progress=Board()
        )

    with pytest.raises(RecipeError, match="no control 'twice-stf'") as caught:
        run("controls=[twice-stf]")
    assert "twice-sft" in caught.value.hint and "--list-controls" in caught.value.hint
    with pytest.raises(ModelError, match=r"no folder \./nosuch"):
        run("controls=[merged-by-model]", "merge.model=./nosuch")
    with pytest.raises(RecipeError, match=r"data\.true-captions: .*nosuch"):
        run("controls=[true-captions]", "data.true-captions={source: captions, path: nosuch.jsonl}")
    assert not (tmp_path / "run").exists()


def test_a_control_is_held_against_what_it_controls(recipe_file):
    recipe = load_recipe(recipe_file, [])
    zero, one, two, final = (SimpleNamespace(name=name) for name in ("VILA_0", "VILA_1", "VILA_2", "VILA²"))

    def held(name: str, history: History) -> list[str]:
        return [model.name for model in controls_of(recipe)[name].compared_with(history)]

    whole = History((zero, one, two), (), two, final)
    assert held("prompt-simple", whole) == ["VILA_1"]
    assert held("twice-sft", whole) == ["VILA_1", "VILA²"]
    assert held("plain-append", whole) == ["VILA²"]
    assert held("twice-sft", History((zero, one), (), one)) == ["VILA_1"], "one model is compared once"
    assert held("prompt-simple", History((zero,), (), zero)) == ["VILA_0"]
