"""``vila2 merge``: what it prints, and what it says where something is wrong."""

import json

import pytest
from merge_layers import world, world_layers
from typer.testing import CliRunner

from vila2.cli.main import app
from vila2.data.layers import Layer


@pytest.fixture
def dataset(tmp_path):
    opened = world(tmp_path / "pairs", count=8)
    world_layers(opened)
    return opened.folder


def run(*arguments):
    return CliRunner().invoke(app, ["merge", *map(str, arguments), "-q"])


def test_it_prints_what_was_kept_and_dropped_and_both_rates(dataset):
    found = run(dataset, "--layers", "original,self-1,boxes", "--set", "base=self-1")
    assert found.exit_code == 0, found.output
    for word in ("kept", "contradicted", "coverage", "unverified", "words", "self-1", "boxes", "written"):
        assert word in found.output
    assert Layer.open(dataset / "layers" / "merged").count >= 16


def test_it_prints_json(dataset):
    found = run(dataset, "-l", "self-1,boxes,words", "--set", "base=self-1", "--name", "m2", "--json", "--set", "absence=[objects,texts]")  # fmt: skip
    numbers = json.loads(found.stdout)
    assert numbers["arm"] == "verified" and numbers["base"] == "self-1" and numbers["images"] == 8
    assert set(numbers["sources"]) == {"original", "self-1", "boxes", "words"}
    assert numbers["all"]["before"].keys() == {"claims", "coverage", "contradiction_rate"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-l", "self-2"], "self-1"),
        (["-l", "self-1,self-1"], "twice"),
        (["-l", "self-1,boxes"], "--set base="),
        (["-l", "self-1", "--set", "unverifed=drop"], "unverified"),
        (["-l", "self-1", "--set", "unverified=perhaps"], "unverified"),
        (["-l", "self-1", "--set", "writer=model"], "engine"),
    ],
)
def test_a_slip_is_named_with_its_mend(dataset, options, said):
    found = run(dataset, *options)
    assert found.exit_code == 2 and said in found.output
    assert not (dataset / "layers" / "merged").exists()


@pytest.mark.parametrize("place", ["nowhere", "runs/nowhere"])  # the second might be an id of a hub
def test_a_folder_that_is_not_there_is_named(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    found = run(place, "-l", "original,self-1")
    said = " ".join(found.output.split())
    assert found.exit_code == 2, said
    assert f"{place}: no such folder" in said and "runs/NAME" in said
