"""The examples of docs/specialize.md hold: its recipes are read, its settings and commands exist."""

import re
from pathlib import Path

import pytest
import yaml

from vila2.cli.main import app
from vila2.recipe.file.recipe_file import load_recipe
from vila2.recipe.parts.specialists import SpecialistUse
from vila2.recipe.specialist_recipe import read_specialist_recipe

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "specialize.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"<!-- test: ([^>]+) -->\n```yaml\n(.*?)```", GUIDE, flags=re.S)


def examples(kind: str) -> list[str]:
    return [text for named, text in EXAMPLES if named == kind]


def test_every_yaml_block_is_tested():
    assert GUIDE.count("```yaml") == len(EXAMPLES) >= 4


@pytest.mark.parametrize("miniature", [False, True])
@pytest.mark.parametrize("text", examples("specialist recipe"))
def test_a_specialists_recipe_can_be_read(text, miniature):
    assert read_specialist_recipe(text, where="docs", miniature=miniature).stages["tune"]


def test_the_first_recipe_is_trained_as_the_guide_says():
    text = examples("specialist recipe")[0]
    real = read_specialist_recipe(text, where="docs").stages["tune"]
    assert (real.lora.rank, real.lora.alpha, real.learning_rate) == (64, 128, 1e-4)
    assert (real.batch_size, real.device_batch_size, real.epochs) == (64, 4, 1)
    full = read_specialist_recipe(text, where="docs", overrides=["stages.tune.lora=null"]).stages["tune"]
    assert full.lora is None and full.learning_rate == 2e-5
    miniature = read_specialist_recipe(text, where="docs", miniature=True).stages["tune"]
    assert (miniature.lora, miniature.learning_rate, miniature.epochs) == (None, 1.5e-3, 6)


@pytest.mark.parametrize("override", re.findall(r"^    --set (stages\.\S+)", GUIDE, flags=re.M))
def test_the_settings_that_the_guide_names_exist(override):
    text = "stages: {reading: {mixture: [{dataset: text}]}}"
    assert read_specialist_recipe(text, where="docs", overrides=[override])


def test_the_part_of_a_runs_recipe_is_valid():
    (text,) = examples("part of a run's recipe")
    for use in yaml.safe_load(text)["specialists"].values():
        SpecialistUse.model_validate(use)


def test_the_larger_run_can_be_read(tmp_path):
    (text,) = examples("run's recipe larger.yaml")
    path = tmp_path / "larger.yaml"
    path.write_text(text.replace("examples/", f"{ROOT}/examples/"))
    assert load_recipe(path).specialists["ocr"].made == "runs/small/specialists/ocr"


def test_the_commands_and_their_options_exist():
    import typer

    commands = typer.main.get_command(app).commands
    found = re.findall(r"vila2 (specialize|annotate|run)((?: [^`#\n]+)?)", GUIDE)
    assert len(found) > 5
    for name, words in found:
        known = {one for option in commands[name].params for one in option.opts}
        for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", words):
            assert option in known, (name, option)
