"""Mistakes in a recipe of rounds, specialists and a merge are refused when it is read, not after hours."""

from __future__ import annotations

from pathlib import Path

import pytest

from vila2.errors import RecipeError
from vila2.recipe.checks.learning import captions_in_vain
from vila2.recipe.file.recipe_file import load_recipe, recipe_to_yaml
from vila2.recipe.recipe import Recipe

RECIPE = """\
name: small
data:
  coyo: {source: world, options: {count: 3}, layers: {ocr: ocr}}
  mmc4: {source: world, options: {count: 3}}
model: {vision: some/tower, language: some/model}
stages:
  pretrain: {mixture: [{dataset: coyo}, {dataset: mmc4}]}
  sft: {mixture: [{dataset: mmc4}]}
cycle: {rounds: 2}
specialists: {spatial: {}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE)
    return path


def complaint(file: Path, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(file, overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["merge.base=nosuch"], "merge.base: there is no self layer 'nosuch'"),
        (["merge.base=self-3"], "merge.base: there is no self layer 'self-3'; did you mean 'self-"),
        (
            ["merge.base=self-1", "cycle.rounds=0"],
            "merge.base: there is no self layer 'self-1'; there is: ocr",
        ),
        (["merge.base=self-1", "cycle.rounds=1", "cycle.captions=mmc4"], "there is: given-1, ocr"),
        (["merge.view=only(original)"], "merge.view: 'only(original)' does not use the merged layer: write"),
        (["merge.view=tree({layer},grounding)"], "merge.view: there is no layer 'grounding'"),
        (["merge.view=three({layer})"], "merge.view: unknown view 'three'"),
        (["cycle.view=concat(original,{layer},spatial)"], "no layer under data.coyo.layers: 'spatial'"),
        (
            ["specialists.spatial.select=[0.5,0.2]"],
            "spatial.select: [0.5, 0.2]: write [from, to] with 0 <= from < to",
        ),
        (["specialist_data=sft", "stages.sft.max_steps=9"], "give it epochs in place of max_steps"),
        (
            ["specialist_data=more-sft", "stages.sft.max_steps=9"],
            "specialist_data: more-sft makes this stage",
        ),
        (
            ["cycle.captioner=some/vlm"],
            "cycle.captioner: some/vlm gives the same captions in all of 2 rounds",
        ),
        (["cycle.captions=mmc4"], "cycle.captions: mmc4 gives the same captions in all of 2 rounds"),
        (["cycle.share=[0.5,0.2]"], "cycle.share: should be a number above 0 and up to 1, or [from, to]"),
        (["cycle.share=0"], "cycle.share: should be a number above 0"),
        (["cycle.share=true"], "cycle.share: should be a number above 0"),
        (
            ["stages.pretrain.mixture.0.view=only(ocr)"],
            "stages.pretrain.mixture: no entry of 'coyo' sees the original alone",
        ),
        (
            ["stages.pretrain.mixture.0.view=only(ocr)", "cycle.rounds=0"],
            "no entry of 'coyo' sees the original alone",
        ),
        (
            ["stages.pretrain.mixture.0.select=[0.5,1]", "cycle.share=0.5"],
            "cycle.share: captions would be written about the images [0, 0.5], and [0.5, 1] are trained on: "
            "none of them would get one; write share: [0.5, 1]",
        ),
        (
            ["stages.pretrain.mixture.0.weight=0.05", "cycle.share=[0.05,0.1]"],
            "about the images [0.05, 0.1], and [0, 0.05] are trained on",
        ),
        (
            ["stages.pretrain.mixture.0.select=[0,0.1]", "specialists.spatial.select=[0.5,1]"],
            "specialists.spatial.select: it would annotate the images [0.5, 1], and [0, 0.1] are trained on",
        ),
    ],
)  # fmt: skip
def test_what_would_come_to_nothing_is_refused(file: Path, overrides: list[str], expected: str):
    assert expected in complaint(file, *overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["merge.base=self-2"],
        ["merge.base=ocr"],
        ["merge.base=self-3", "specialists=null"],
        ["merge.view=tree(original,{layer},self-2)"],
        ["specialist_data=sft", "stages.pretrain.max_steps=9"],
        ["cycle.captioner=some/vlm", "cycle.rounds=1"],
        ["cycle.captions=shuffled"],
        ["cycle.share=[0.25,0.5]", "stages.pretrain.mixture.0.select=[0,0.3]"],
        [
            "specialist_data=share",
            "specialists.spatial.select=[0.5,1]",
            "stages.pretrain.mixture.0.select=[0,0.1]",
        ],
        ["stages.pretrain.mixture.0.view=only(ocr)", "cycle.rounds=0", "specialist_data=share"],
    ],
)  # fmt: skip
def test_what_can_be_had_is_not_refused(file: Path, overrides: list[str]):
    load_recipe(file, overrides)


def test_a_share_is_a_number_or_a_range_and_written_back(file: Path):
    assert load_recipe(file).cycle.part == (0.0, 1.0)
    assert load_recipe(file, ["cycle.share=0.5"]).cycle == load_recipe(file, ["cycle.share=[0,0.5]"]).cycle
    recipe = load_recipe(file, ["cycle.share=[0.25,0.5]"])
    assert recipe.cycle.share == recipe.cycle.part == (0.25, 0.5)
    file.write_text(recipe_to_yaml(recipe))
    assert load_recipe(file) == recipe


def test_captions_in_vain_are_those_that_the_stage_does_not_train_on(file: Path):
    def in_vain(mixture: str, share: str = "1") -> float:
        recipe: Recipe = load_recipe(file, [f"stages.pretrain.mixture={mixture}", f"cycle.share={share}"])
        return captions_in_vain(recipe.model_dump())

    assert in_vain("[{dataset: coyo}]") == 0
    assert in_vain("[{dataset: coyo, select: [0, 0.05]}]") == pytest.approx(0.95)
    assert in_vain("[{dataset: coyo, select: [0, 0.05]}]", "[0, 0.05]") == 0
    assert in_vain("[{dataset: coyo, weight: 0.5}, {dataset: coyo, select: [0.4, 0.6]}]") == pytest.approx(
        0.4
    )
    touching = "[{dataset: coyo, select: [0, 0.2]}, {dataset: coyo, select: [0.2, 0.9]}]"
    assert in_vain(touching, "0.9") == 0
    assert in_vain("[{dataset: coyo, count: 5}]") == 0, "only the data can tell"
