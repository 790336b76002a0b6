"""What stands in for a generalist's own data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.run.plain_steps import Plain, plain_step
from vila2.errors import RunError
from vila2.recipe.file.recipe_file import load_recipe
from vila2.run.steps import Run
from vila2.specialist.origin import Origin, find_origin

MINIATURE = Path(__file__).parents[2] / "examples/miniature.yaml"

CHECKPOINT = Origin("model", {"last": Path("model")})


def test_a_folder_may_stand_in_for_one_stage_only():
    mix = [Path("captions=allava"), Path("any"), Path("instructions=shikra"), Path("instructions=visual7w")]
    _, captions = CHECKPOINT.mixture("run:captions", mix)
    entries, instructions = CHECKPOINT.mixture("run:instructions", mix)
    assert list(captions.values()) == [Path("allava"), Path("any")]
    assert list(instructions.values()) == [Path("any"), Path("shikra"), Path("visual7w")]
    assert [f"data.{entry.dataset}" for entry in entries] == list(instructions)


def test_a_folder_with_an_equals_sign_is_a_folder(tmp_path):
    folder = tmp_path / "captions=2"
    folder.mkdir()
    assert list(CHECKPOINT.mixture("run:sft", [folder])[1].values()) == [folder]


def test_a_stage_that_nothing_stands_in_for_is_an_error_with_the_way_out():
    with pytest.raises(RunError, match=r"run:sft.*without a run") as error:
        CHECKPOINT.mixture("run:sft", [Path("captions=allava")])
    assert "--mix sft=FOLDER" in str(error.value)


def test_the_generalist_of_a_run_with_controls_is_the_recipes_own(tmp_path):
    def train(folder, settings, inputs, progress):
        return {}

    with Run.open(tmp_path / "run") as run:
        run.keep_recipe(load_recipe(MINIATURE))
        settings = {"name": "sft", "stage": {"mixture": []}}
        own = run.step("vila1-sft", plain_step(train), settings=Plain(**settings), inputs={})
        other = Plain(**settings, captions="shuffled")
        run.step("vila1-sft", plain_step(train), settings=other, inputs={})
    assert find_origin(tmp_path / "run").generalist == own.folder / "model"
