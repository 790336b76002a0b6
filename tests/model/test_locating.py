"""The place of a model by its name: a missing folder is named, and the network is asked at most once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vila2.errors import ModelError
from vila2.model.hub import check_hub
from vila2.model.loading import locate


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with a run and two models, and a hub that would be reached at a closed port."""
    for name in ("runs/photos/model", "Qwen/Tiny-VL", "mymodel"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text('{"model_type": "llava"}')
    (tmp_path / "weights.bin").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    check_hub.cache_clear()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("./x", r"there is no folder ./x"),
        ("/no/such/place", r"there is no folder /no/such/place: of its path only / exists"),
        ("runs/phots/model", r"no folder runs/phots/model[\s\S]*did you mean runs/photos/model\?"),
        ("runs/photo", r"did you mean runs/photos\?"),
        ("runs/photos/modle", r"did you mean runs/photos/model\?"),
        ("runs/nothing-like-it", r"there is no folder runs/nothing-like-it"),
        ("Qwen/Tiny-LV", r"did you mean Qwen/Tiny-VL\?"),
        ("Qwen/Qwen2-VL-2B", r"no folder Qwen/Qwen2-VL-2B[\s\S]*for the hub's model of this name"),
        ("mymodle", r"there is no folder mymodle[\s\S]*did you mean mymodel\?"),
        ("checkpoints/sft", r"there is no folder checkpoints/sft"),
        ("a/b/c", r"there is no folder a/b/c"),
        ("C:\\models\\x", r"there is no folder C:"),
        ("weights.bin", r"weights.bin is a file, and a model is a folder"),
        ("Qwen/", r"it contains models: Tiny-VL[\s\S]*hint: give one of them"),
        ("mymodel/config.json", r"is a file"),
    ],
)
def test_a_folder_that_is_not_there_is_no_matter_of_the_network(
    place, monkeypatch, name: str, said: str
) -> None:
    # Whoever asked the hub would get another error.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=said):
        locate(name)


@pytest.mark.parametrize("name", ["runs/photos/model", "./Qwen/Tiny-VL/", "mymodel"])
def test_a_folder_that_is_there(place, name: str) -> None:
    assert locate(name).is_local


def test_offline_says_so_at_once(place, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"org/name is no folder here and not in the cache .* offline"):
        locate("org/name")


def cached(home: Path, name: str) -> None:
    """What the hub's client leaves of a model that was downloaded."""
    repository = home / "hub" / f"models--{name.replace('/', '--')}"
    (repository / "snapshots" / "abc").mkdir(parents=True)
    (repository / "snapshots" / "abc" / "config.json").write_text('{"model_type": "llava"}')
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")


def recaption(place: Path, model: str) -> subprocess.CompletedProcess[str]:
    from PIL import Image

    (place / "photos").mkdir()
    Image.new("RGB", (20, 20)).save(place / "photos" / "a.png")
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    environment |= {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    return subprocess.run(
        [sys.executable, "-m", "vila2", "recaption", "photos", "--model", model],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_a_hub_that_cannot_be_reached_is_said_once(place) -> None:
    found = recaption(place, "org/name")
    lines = found.stderr.strip().splitlines()
    assert found.returncode == 2 and len(lines) == 2, found.stderr
    assert "the hub (http://127.0.0.1:9) cannot be reached" in lines[0] and "HF_HOME" in lines[1]


def test_what_the_cache_holds_is_taken_without_retries(place) -> None:
    cached(place / "cache", "org/name")
    found = recaption(place, "org/name")
    assert found.stderr.count("cannot be reached") == 1 and "Retry" not in found.stderr, found.stderr
    assert found.returncode == 2 and "error: cannot load the" in found.stderr  # the cache holds only a config
