"""A recipe's specialists may name a tool: no training step, one layer, merged like any other."""

from __future__ import annotations

import json
import sys

import pytest

from tests.cycle.conftest import TINY_RECIPE
from tests.plugin.tiny_tool import install_dark
from vila2.cycle.improve import run_recipe
from vila2.data.layers import Layer
from vila2.errors import RecipeError
from vila2.recipe.file.recipe_file import load_recipe
from vila2.run.board import Board


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    install_dark(folder)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("vila2_dark", None)


@pytest.fixture
def recipe_of(site, tmp_path):
    """A recipe without rounds whose only specialist is the tool, with some settings."""

    def made(use: dict[str, object], **settings: object):
        path = tmp_path / "tiny.yaml"
        path.write_text(TINY_RECIPE)
        given = {"cycle.rounds": 0, "specialists": {"dark": use}, **settings}
        return load_recipe(path, [f"{key}={json.dumps(value)}" for key, value in given.items()])

    return made


def test_a_tool_annotates_and_the_generalist_trains_on_what_is_merged(recipe_of, tmp_path):
    folder = tmp_path / "run"
    run_recipe(recipe_of({"set": {"darkest": 60}}), folder, dry_run=False, progress=Board())
    steps = {path.name.rpartition("-")[0] for path in (folder / "steps").iterdir()}
    assert "dark-layer" in steps and not {step for step in steps if step.startswith(("build-", "dark-t"))}
    layer = Layer.open(next(folder.glob("steps/dark-layer-*")))
    assert layer.count == 16 and layer.info["tool"]["settings"]["darkest"] == 60
    results = json.loads((folder / "results.json").read_text())
    assert [model["name"] for model in results["models"]] == ["VILA_0", "VILA²"]
    assert list(results["merge"]["sources"]) == ["original", "dark"]


@pytest.mark.parametrize(
    ("use", "told"),
    [
        ({"set": {"darkness": 3}}, "specialists.dark: set: darkness"),
        ({"made": "runs/other"}, "made: plugin 'dark' .* is a tool, which is not trained"),
    ],
)
def test_what_a_tool_does_not_have_is_refused_before_any_work(recipe_of, tmp_path, use, told):
    with pytest.raises(RecipeError, match=told):
        run_recipe(recipe_of(use), tmp_path / "run", dry_run=True, progress=Board())


@pytest.mark.parametrize("how", ["sft", "sft-equal-passes", "sft-equal-total"])
@pytest.mark.parametrize("of", ["recipe", "control"])
def test_a_tool_has_no_data_that_could_go_into_sft(recipe_of, tmp_path, how, of):
    control = {"sft": "specialist-data-in-sft"}.get(how, f"specialist-data-{how.removeprefix('sft-')}")
    settings = {"specialist_data": how} if of == "recipe" else {"controls": [control]}
    with pytest.raises(RecipeError, match=r"'dark' .* is a tool, which has no training data") as caught:
        run_recipe(recipe_of({}, **settings), tmp_path / "run", dry_run=True, progress=Board())
    assert f"specialist_data: {how}, or the control" in caught.value.hint
