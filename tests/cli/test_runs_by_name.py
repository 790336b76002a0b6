"""A run stands for its datasets, its layers and its model wherever one of these is asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.caption.tiny_llava import build_tiny_llava
from tests.run.plain_steps import Plain, plain_step
from vila2.api.recipes import read_recipe
from vila2.cli.main import app
from vila2.data.annotations import Annotation
from vila2.data.layers import write_layer
from vila2.data.shards import ShardDataset
from vila2.model.assemble_step import starting_parts
from vila2.run.digests import digest_path
from vila2.run.run_model import link_model, named_model
from vila2.run.steps import Run
from vila2.sources.import_step import open_dataset

MINIATURE = Path(__file__).parents[2] / "examples/miniature.yaml"
COUNT = 4


def write_captions(folder: Path, settings, inputs, progress):
    dataset = ShardDataset.open(inputs["data"])
    write_layer(
        dataset, lambda key: [Annotation(key, "", "a cube", "ok")], folder=folder, name="self-1", info={}
    )


def make_model(folder: Path, settings, inputs, progress):
    build_tiny_llava(folder / "model")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A run with two of its datasets, a layer and a model, though nothing was trained."""
    folder = tmp_path_factory.mktemp("place") / "runs/one"
    recipe = read_recipe(
        MINIATURE, [f"data.{name}.options.count={COUNT}" for name in ("pretrain", "instructions")]
    )
    with Run.open(folder) as run:
        run.keep_recipe(recipe)
        data = {name: open_dataset(run, name, recipe.data[name]) for name in ("pretrain", "instructions")}
        run.step("self-1", plain_step(write_captions), settings=Plain(), inputs={"data": data["pretrain"]})
        model = run.step("vila1-sft", plain_step(make_model), settings=Plain(), inputs={})
    link_model(folder, model.folder / "model")
    return folder


@pytest.fixture
def place(made, tmp_path, monkeypatch) -> Path:
    shutil.copytree(made.parent, tmp_path / "runs", symlinks=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*words: str, code: int = 0):
    result = CliRunner().invoke(app, [*words])
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.output


def test_stats_of_a_run_are_those_of_its_datasets_with_its_layers(place):
    found = json.loads(invoke("data", "stats", "runs/one", "--json"))["datasets"]
    assert {name: [layer["name"] for layer in one["layers"]] for name, one in found.items()} == {
        "pretrain": ["original", "self-1"],
        "instructions": ["original"],
    }
    shown = invoke("data", "stats", "runs/one")
    assert f"pretrain: {COUNT} samples" in shown and "self-1" in shown
    one = json.loads(invoke("data", "stats", "runs/one", "--dataset", "pretrain", "--json"))
    assert [layer["name"] for layer in one["layers"]] == ["original", "self-1"]
    assert "did you mean 'pretrain'?" in invoke("data", "stats", "runs/one", "--dataset", "pretain", code=2)
    assert "did you mean runs/one?" in invoke("data", "stats", "runs/oen", code=2)


def test_preview_shows_a_runs_layer(place):
    shown = invoke("data", "preview", "runs/one", "-n", "1", "--view", "only(self-1)")
    assert "a cube" in shown
    assert "instructions" in invoke("data", "preview", "runs/one", "-n", "1", "--dataset", "instructions")


def test_verify_reads_a_runs_layers_as_well(place):
    assert invoke("data", "verify", "runs/one").count("all is well") == 2
    next(Path("runs/one/steps").glob("self-1-*/*.parquet")).write_bytes(b"damaged")
    result = CliRunner().invoke(app, ["data", "verify", "runs/one", "--json"])
    assert result.exit_code == 1
    found = json.loads(result.stdout)["datasets"]
    assert found["pretrain"]["problems"] and not found["instructions"]["problems"]


def test_a_run_is_described_and_describes(place):
    words = ["recaption", "runs/one", "--model", "runs/one", "--layer", "again", "--max-new-tokens", "3"]
    summary = json.loads(invoke(*words, "-p", "simple", "--json"))
    assert summary["captions"] == COUNT and summary["next"] == "vila2 data stats runs/one"
    assert "again" in invoke("data", "stats", "runs/one", "--dataset", "pretrain")
    judged = json.loads(
        invoke(
            "judge",
            "runs/one",
            "--layers",
            "original,self-1",
            "--model",
            "runs/one",
            "--max-new-tokens",
            "2",
            "--json",
        )
    )
    assert judged["folder"].startswith("runs/one/judge/one/")


def test_a_layer_that_the_run_wrote_is_not_written_again_by_hand(place):
    for more in ([], ["--redo", "truncated"]):
        shown = invoke("recaption", "runs/one", "--model", "runs/one", "--layer", "self-1", *more, code=2)
        assert "belongs to the run itself" in shown


def test_a_damaged_run_is_not_guessed_at(place):
    Path("runs/one/progress.json").write_text("{")
    for more in ([], ["--dataset", "pretrain"]):
        shown = invoke("data", "stats", "runs/one", *more, code=2)
        assert "nothing tells which steps" in shown and "`vila2 run` command again" in shown
    assert "4 of 4 steps done" in invoke("status", "runs/one")


def test_a_recipe_may_start_from_a_run_or_be_captioned_by_one(place):
    recipe = read_recipe(MINIATURE, ["model={pretrained: runs/one}", "stages.align=null"])
    path = Path("runs/one/model").resolve()
    run = Run.open(place / "dry", dry=True)
    starting_parts(run, recipe)
    assert run.plan[0].inputs == {digest_path(path)}, "the model's content counts, not the run's name"
    assert named_model("runs/one") == str(path) and named_model("some/id") == "some/id"


def test_a_run_whose_model_was_deleted_says_so(place):
    shutil.rmtree(Path("runs/one/model").resolve())
    (place / "photos").mkdir()
    (place / "photos/a.png").touch()
    shown = invoke("recaption", "photos", "--model", "runs/one", code=2)
    assert "the model of runs/one is gone" in shown and "hint: " in shown
