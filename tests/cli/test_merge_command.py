"""``vila2 merge``: what it prints, and what it says where something is wrong."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.merge.merge_layers import said, world, world_layers
from tests.run.plain_steps import Plain, plain_step
from vila2.cli.main import app
from vila2.data.layers import Layer, write_layer
from vila2.data.shards import ShardDataset
from vila2.errors import DataError
from vila2.merge.settings import find_layers
from vila2.recipe.file.recipe_file import load_recipe
from vila2.run.steps import Run

MINIATURE = Path(__file__).parents[2] / "examples/miniature.yaml"


@pytest.fixture
def dataset(tmp_path):
    opened = world(tmp_path / "pairs", count=8)
    world_layers(opened)
    return opened.folder


def merge(*arguments):
    return CliRunner().invoke(app, ["merge", *map(str, arguments), "-q"])


def test_it_prints_what_was_kept_and_dropped_and_both_rates(dataset):
    found = merge(dataset, "--layers", "original,self-1,boxes", "--set", "base=self-1")
    assert found.exit_code == 0, found.output
    for word in ("kept", "contradicted", "coverage", "unverified", "words", "self-1", "boxes", "written"):
        assert word in found.output
    assert Layer.open(dataset / "layers" / "merged").count >= 16


def test_it_prints_json(dataset):
    settings = ["--set", "base=self-1", "--set", "absence=[objects,texts]"]
    found = merge(dataset, "-l", "self-1,boxes,words", "--name", "m2", "--json", *settings)
    numbers = json.loads(found.stdout)
    assert numbers["arm"] == "verified" and numbers["base"] == "self-1" and numbers["images"] == 8
    assert set(numbers["sources"]) == {"original", "self-1", "boxes", "words"}
    assert numbers["all"]["before"].keys() == {"claims", "coverage", "contradiction_rate"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-l", "self-2"], "self-1"),
        (["-l", "self-1,self-1"], "twice"),
        (["-l", "self-1,boxes"], "--set base="),
        (["-l", "self-1", "--set", "unverifed=drop"], "unverified"),
        (["-l", "self-1", "--set", "unverified=perhaps"], "unverified"),
        (["-l", "self-1", "--set", "writer=model"], "engine"),
    ],
)
def test_a_slip_is_named_with_its_mend(dataset, options, told):
    found = merge(dataset, *options)
    assert found.exit_code == 2 and told in found.output
    assert not (dataset / "layers" / "merged").exists()


@pytest.fixture
def run_of_layers(tmp_path):
    """A run whose layers mention a cube; some merge settings of its recipe are not the defaults."""
    recipe = load_recipe(MINIATURE, ["seed=5", "merge={unverified: drop, original: verify, boxes: drop}"])

    def write(folder, settings, inputs, progress):
        if settings["layer"] == "original":
            world(folder, count=4)
            return
        opened = ShardDataset.open(inputs["data"])
        text = settings["says"]
        write_layer(opened, lambda key: [said(key, text)], folder=folder, name=settings["layer"], info={})

    with Run.open(tmp_path / "run") as run:
        run.keep_recipe(recipe)

        def step(name, layer, says="A cube.", **data):
            return run.step(
                name, plain_step(write), settings=Plain(**{"layer": layer, "says": says}), inputs=data
            )

        data = step(f"data-{recipe.recaptioned}", "original")
        layers = {"self-1": "self-1", "self-2": "self-2", "ocr-layer": "ocr", "merged": "merged"}
        for name, layer in layers.items():
            step(name, layer, data=data)
        step("self-1", "self-1", "A control's cube.", data=data)
        step("far-layer", "far", data=world(tmp_path / "other", count=5).folder)
    return tmp_path / "run"


def test_a_runs_own_layers_are_found_and_come_first(run_of_layers):
    run, layers = run_of_layers, ["self-1", "self-2", "ocr", "merged"]
    opened, found = find_layers(run, ["", "original", *layers])
    assert opened.folder.parent == run / "steps" and list(found) == ["original", *layers]
    assert {row.text for name in list(found)[1:] for row in found[name].rows()} == {"A cube."}
    with pytest.raises(DataError, match="no layer 'far'"):
        find_layers(run, ["far"])


def test_a_run_is_merged_as_its_recipe_says_but_for_what_is_said_here(run_of_layers):
    def merged(name: str, *options: str) -> tuple[dict, dict]:
        layers = ["-l", "original,self-1,ocr", "--set", "base=self-1"]
        found = merge(run_of_layers, *layers, "--name", name, "--json", *options)
        assert found.exit_code == 0, found.output
        numbers = json.loads(found.stdout)
        return numbers, Layer.open(Path(numbers["layer"])).info

    numbers, info = merged("own")
    kept = numbers["sources"]["self-1"]["sentences"]
    assert kept["kept"] == 0 and kept["dropped"].keys() == {"unverified"}
    assert info["seed"] == 5 and info["merge"]["boxes"] == "drop" and info["merge"]["base"] == "self-1"
    numbers, info = merged("other", "--set", "unverified=keep", "--seed", "0")
    assert numbers["sources"]["self-1"]["sentences"]["kept"] > 0
    assert info["seed"] == 0 and info["merge"]["boxes"] == "drop"


def test_the_base_of_a_run_is_the_recipes_where_it_is_among_the_layers(run_of_layers):
    path = run_of_layers / "recipe.yaml"
    path.write_text(path.read_text().replace("base: null", "base: self-2"))
    assert load_recipe(path).merge.base == "self-2"
    for layers, base in (("self-1,self-2,ocr", "self-2"), ("self-1", "self-1")):
        found = merge(run_of_layers, "-l", layers, "--name", f"on-{base}", "--json")
        assert found.exit_code == 0 and json.loads(found.stdout)["base"] == base, found.output


def test_a_dataset_of_a_dataset_is_refused(dataset):
    found = merge(dataset, "-l", "self-1", "--dataset", "no-such")
    assert found.exit_code == 2 and "is not a run" in found.output


@pytest.mark.parametrize("place", ["nowhere", "runs/nowhere"])  # the second might be an id of a hub
def test_a_folder_that_is_not_there_is_named(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    found = merge(place, "-l", "original,self-1")
    told = " ".join(found.output.split())
    assert found.exit_code == 2, told
    assert f"{place}: no such folder" in told and "runs/NAME" in told
