"""``builtin:miniature``: a trained generalist that rides in the wheel, wherever a model may be named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vila2.api.recipes import read_recipe
from vila2.cli.main import app
from vila2.data.layers import Layer
from vila2.data.shards import ShardDataset, write_dataset
from vila2.engine.registry import open_engine
from vila2.errors import ModelError, RecipeError, RunError
from vila2.model.loading import builtin_models, locate
from vila2.recipe.file.recipe_file import load_recipe
from vila2.sources import open_source
from vila2.specialist.origin import find_origin, starts_from_the_miniature

NAME = "builtin:miniature"


def command(*arguments: object) -> dict:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json", "-q"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> ShardDataset:
    folder = tmp_path_factory.mktemp("scenes") / "scenes"
    write_dataset(folder, open_source("world", split="specialist", count=8), name="scenes")
    return ShardDataset.open(folder)


def test_it_is_small_and_holds_safetensors_and_a_card():
    files = list(Path(locate(NAME).path).iterdir())
    assert sum(file.stat().st_size for file in files) < 10_000_000
    assert {file.suffix for file in files} <= {".safetensors", ".json", ".jinja", ".yaml", ".md"}
    card = (Path(locate(NAME).path) / "README.md").read_text()
    assert re.search(r"\| seed \| \d+; .* \|\n\| commit \| [0-9a-f]{7,40} \|", card)
    assert re.search(r"\| questions \| .* \| 0\.\d+ \| 0\.\d+ to 0\.\d+ \| \d+ \|", card)


def test_what_is_not_shipped_is_told_with_what_is():
    with pytest.raises(ModelError, match=r"(?s)ships no such model.*builtin:miniature or builtin:world"):
        locate("builtin:minature")
    with pytest.raises(RunError, match=r"(?s)miniature-cycle: .*no model that was.*takes builtin:miniature"):
        find_origin("builtin:miniature-cycle")
    with pytest.raises(RunError, match=r"(?s)no such generalist.*takes builtin:miniature"):
        find_origin("builtin:world/vision")


def test_its_recipe_still_reads_and_names_its_instructions():
    recipe = load_recipe(builtin_models()[NAME] / "recipe.yaml")
    origin = find_origin(NAME)
    assert [entry.dataset for entry in origin.mixtures["sft"]] == ["instructions"]
    assert origin.sources["instructions"] == recipe.data["instructions"] and origin.miniature


def test_a_specialist_of_two_steps_is_made_of_it_and_annotates(scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = ["data.options.count=12", "stages.reading.epochs=0.05", "evaluate.limit=4"]
    settings = [word for one in few for word in ("--set", one)]
    made = command("specialize", "--plugin", "ocr", "--from", NAME, *settings)
    assert made["folder"] == "runs/miniature-ocr" and made["built"]["built"] >= 10
    imported = json.loads(next(Path("runs/miniature-ocr/steps").glob("data-instr*/done.json")).read_text())
    assert imported["results"]["samples"] > 0, "run:sft is imported from its recipe"
    told = ("--specialist", made["folder"], "--set", "max_new_tokens=4", "--limit", 2)
    written = command("annotate", scenes.folder, "--plugin", "ocr", *told)
    assert written["annotations"] >= 2


def test_it_captions_photos_and_datasets(scenes, tmp_path):
    photo = tmp_path / "scene.png"
    photo.write_bytes(scenes[0].images[0])
    out = tmp_path / "captions.jsonl"
    command("recaption", photo, "--model", NAME, "--out", out, "--max-new-tokens", 40)
    assert re.search(r"\b(cube|ball|sphere|cone|cylinder|pyramid|sign|image|scene)", out.read_text())
    layer = command("recaption", scenes.folder, "--model", NAME, "--layer", "told", "--max-new-tokens", 8)
    assert len(list(Layer.open(scenes.folder / "layers" / "told").rows())) == len(scenes) and layer


def test_a_recipe_may_start_from_it(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "name: own\ndata: {d: {source: world, options: {split: sft, count: 4, content: instructions}}}\n"
        f"model: {{pretrained: {NAME}}}\ncycle: {{rounds: 0}}\n"
        "stages: {sft: {train: [projector], mixture: [{dataset: d}], learning_rate: 1e-3, batch_size: 2}}\n"
    )
    recipe = read_recipe(path)
    assert recipe.model.pretrained == NAME and starts_from_the_miniature(recipe.model)
    path.write_text(path.read_text().replace(NAME, "builtin:minature"))
    with pytest.raises(RecipeError, match=r"no shipped model.*did you mean 'builtin:miniature'"):
        read_recipe(path)


def test_it_is_loaded_in_full_precision():
    engine = open_engine("transformers", NAME)
    assert {str(one.dtype) for one in engine.model.parameters()} == {"torch.float32"}
