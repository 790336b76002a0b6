"""A folder of photos gets a layer of captions: it becomes a dataset, once, that other layers join."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

import vila2
from tests.caption.tiny_llava import picture
from vila2.cli.main import app
from vila2.data.layers import Layer
from vila2.data.shards import ShardDataset

COUNT = 3


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("my photos").mkdir()
    for number in range(COUNT):
        Path(f"my photos/{number}.png").write_bytes(picture(number))
    return Path("my photos")


def recaption(model: Path, *words: str, code: int = 0) -> Result:
    command = ["recaption", *words, "-m", str(model), "-p", "simple", "--max-new-tokens", "4"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == code, result.output
    return result


def test_photos_become_a_dataset_with_the_layer_and_the_same_command_goes_on(photos, tiny_folder) -> None:
    said = recaption(tiny_folder, str(photos), "--layer", "captions").output
    assert "'my photos-dataset/layers/captions'" in said
    dataset = ShardDataset.open("my photos-dataset")
    assert dataset.keys() == ["0", "1", "2"]
    assert Layer.open("my photos-dataset/layers/captions").count == COUNT
    again = json.loads(recaption(tiny_folder, str(photos), "--layer", "captions", "-q", "--json").stdout)
    assert again["new"] == 0 and again["captions"] == COUNT
    recaption(tiny_folder, str(photos), "--layer", "second", "--seed", "1")
    assert Layer.open("my photos-dataset/layers/second").info["dataset"] == dataset.digest


def test_out_names_the_dataset_and_photos_that_changed_are_refused(photos, tiny_folder) -> None:
    recaption(tiny_folder, str(photos), "--layer", "captions", "--out", "data/mine")
    assert Layer.open("data/mine/layers/captions").count == COUNT
    Path("my photos/new.png").write_bytes(picture(9))
    said = recaption(tiny_folder, str(photos), "--layer", "captions", "--out", "data/mine", code=2).output
    assert "not of these photos as they are now" in said


def test_a_layer_is_about_one_folder(photos, tiny_folder) -> None:
    said = recaption(tiny_folder, str(photos), "my photos/0.png", "--layer", "captions", code=2).output
    assert "one folder of photos" in said
    assert not list(Path().glob("*-dataset"))


def test_the_function_does_the_same(photos, tiny_folder) -> None:
    settings = vila2.GenerationSettings(max_new_tokens=4)
    layer = vila2.recaption(photos, tiny_folder, layer="captions", settings=settings)
    assert layer.folder == Path("my photos-dataset/layers/captions") and layer.count == COUNT


def test_a_dataset_whose_import_failed_is_no_folder_of_photos(photos) -> None:
    line = {"image": "my photos/0.png", "caption": ""}
    Path("rows.jsonl").write_text(json.dumps(line) + "\n")
    runner = CliRunner()
    assert runner.invoke(app, ["data", "import", "captions", "rows.jsonl", "-o", "data/rows"]).exit_code == 2
    said = runner.invoke(app, ["annotate", "data/rows", "--plugin", "rapidocr"])
    assert said.exit_code == 2 and "did not finish" in said.output
    assert not list(Path().glob("*-dataset"))
