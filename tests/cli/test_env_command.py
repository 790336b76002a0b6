"""`vila2 env`: what a bug report needs, in words and as JSON."""

import json

import pytest
from typer.testing import CliRunner

from vila2 import __version__
from vila2.cli.main import app


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["env", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_versions_hardware_disk_and_settings_are_named(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = json.loads(said("--json"))
    assert found["vila2"] == __version__
    assert found["torch"] and found["transformers"] and found["cpus"] >= 1 and found["threads"] >= 1
    assert isinstance(found["gpus"], list) and found["memory"].endswith("GiB")
    assert "GiB free at " in found["disk"]
    assert found["variables"]["HF_HUB_OFFLINE"] == "1"
    assert found["plugins"].keys() >= {"ocr", "spatial", "grounding"}


def test_what_an_absent_package_would_be_for_is_said():
    missing = [name for name, version in json.loads(said("--json"))["optional"].items() if version is None]
    lines = {line.partition("  ")[0]: line for line in said().splitlines()}
    for name in missing:
        assert "not installed (" in lines[name]
    assert f"vila2             {__version__}" in lines["vila2"]


def test_the_cache_of_the_hub_and_its_size(monkeypatch, tmp_path):
    blobs = tmp_path / "models--org--name" / "blobs"
    blobs.mkdir(parents=True)
    with (blobs / "weights").open("wb") as file:
        file.truncate(3 * 2**29)  # takes no room on the disk
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert f"{tmp_path}, 1 models, 1.5 GiB" in said()


def test_a_plugin_that_is_switched_off_is_marked(monkeypatch):
    monkeypatch.setenv("VILA2_PLUGINS", "-ocr")
    plugins = json.loads(said("--json"))["plugins"]
    assert plugins["ocr"].endswith("(switched off)") and "off" not in plugins["spatial"]


@pytest.mark.parametrize("name", ["torchvision", "num2words", "bitsandbytes", "liger-kernel", "datasets"])
def test_optional_packages_are_listed(name):
    assert name in json.loads(said("--json"))["optional"]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, {"GOMP_SPINCOUNT": "1000"}),
        ({"GOMP_SPINCOUNT": "5"}, {"GOMP_SPINCOUNT": "5"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
    ],
)
def test_threads_soon_stop_spinning_unless_the_user_says_how_they_wait(monkeypatch, own, expected):
    monkeypatch.setenv("GOMP_SPINCOUNT", "")  # restored after the test, whatever the command sets
    monkeypatch.delenv("GOMP_SPINCOUNT")
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    variables = json.loads(said("--json"))["variables"]
    waiting = {
        name: value for name, value in variables.items() if name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    assert waiting == expected
