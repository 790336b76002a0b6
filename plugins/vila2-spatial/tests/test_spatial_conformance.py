"""What every specialist must do; needs the package installed, as its entry point is what is checked."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml
from vila2.plugin.references import read_packaged
from vila2.recipe.specialist_recipe import read_specialist_recipe
from vila2.testing import SpecialistConformance

installed = any(one.name == "spatial" for one in entry_points(group="vila2.specialists"))


@pytest.mark.skipif(
    not installed, reason="vila2-spatial is not installed: pip install -e plugins/vila2-spatial"
)
class TestSpatial(SpecialistConformance):
    name = "spatial"

    @pytest.fixture
    def data(self, world: Path) -> Path:
        return world


def test_both_prompts_of_the_paper_and_other_questions():
    from vila2_spatial import PROMPTS, QUESTIONS

    assert PROMPTS[0].endswith("in detail, with a focus on spatial relations.")
    assert PROMPTS[1] == "Can you explain the content of the image and their spatial relations in detail?"
    assert len(QUESTIONS) > 2 and not set(QUESTIONS) & set(PROMPTS)


@pytest.mark.parametrize(("name", "start"), [("recipe.yaml", "sft"), ("recipes/paper.yaml", "pretrain")])
def test_recipes_are_sound(name, start):
    text = read_packaged(f"vila2_spatial/{name}", of="vila2-spatial")
    recipe = read_specialist_recipe(text, where=name)
    assert recipe.start == start
    assert recipe.datasets() == ("relations", "run:sft")
    assert yaml.safe_load(text)["stages"]
