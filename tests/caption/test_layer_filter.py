"""`vila2 data filter`: a selection is a layer, taken by its name. What `data stats` says of repetition."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.caption.tiny_llava import picture
from vila2.cli.main import app
from vila2.data.annotations import Annotation
from vila2.data.importing import write_dataset
from vila2.data.layers import Layer, write_layer
from vila2.data.mixtures import ViewedDataset
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset
from vila2.data.verification import verify_dataset
from vila2.data.views import View

SAID = {
    "a": Annotation("a", "Describe.", "A red cube on a table.", "ok"),
    "b": Annotation("b", "Describe.", "A photo.", "ok"),
    "c": Annotation("c", "Describe.", "a  photo.", "ok"),
    "d": Annotation("d", "Describe.", "A cube and a", "truncated", "cut after 4 tokens"),
    "e": Annotation("e", "Describe.", "Cube.", "ok"),
}


@pytest.fixture
def dataset(tmp_path: Path) -> ShardDataset:
    folder = tmp_path / "data"
    samples = [Sample(key, (picture(n),), (user(ImagePart()), assistant(key))) for n, key in enumerate(SAID)]
    write_dataset(folder, samples, name="data", shard_size=2)
    opened = ShardDataset.open(folder)
    made = {"engine": "transformers", "digest": "ab" * 32, "prompts": ["Describe."]}
    write_layer(opened, lambda key: [SAID[key]], folder=folder / "layers/self-1", name="self-1", info=made)
    return opened


def run(dataset: ShardDataset, command: str, *options: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["data", command, str(dataset.folder), *options])
    assert done.exit_code == code, done.output
    return done.output


def chosen(dataset: ShardDataset, *options: str) -> tuple[list[str], dict[str, int]]:
    said = json.loads(
        run(dataset, "filter", "--layer", "self-1", "-o", "good", "--replace", "--json", *options)
    )
    rows = [row.key for row in Layer.open(said["layer"]).rows()]
    assert len(rows) == said["kept"]
    return rows, said["left_out"]


def test_annotations_are_chosen_by_status_words_and_repetition(dataset):
    assert chosen(dataset) == (["a", "b", "c", "e"], {"truncated": 1})
    assert chosen(dataset, "--status", "ok,truncated")[0] == list(SAID)
    assert chosen(dataset, "--words", "2-5") == (["b", "c"], {"too long": 1, "truncated": 1, "too short": 1})
    assert chosen(dataset, "--words", "3-")[0] == ["a"]
    assert chosen(dataset, "--most-images", "1") == (["a", "e"], {"repeated": 2, "truncated": 1})


def test_the_selection_is_a_layer_that_views_take_and_the_source_stays(dataset):
    before = Layer.open(dataset.folder / "layers/self-1").digest
    run(dataset, "filter", "--layer", "self-1", "--out", "good", "--most-images", "1")
    good = Layer.open(dataset.folder / "layers/good")
    seen = ViewedDataset(dataset, View.parse("only(good)"), {"good": good})
    assert seen.keys() == ["a", "e"] and seen[0].turns[-1].text == SAID["a"].text
    assert good.info["engine"] == "transformers" and good.info["filtered"]["layer"] == "self-1"
    assert Layer.open(dataset.folder / "layers/self-1").digest == before
    assert not verify_dataset(dataset.folder).problems
    run(dataset, "filter", "--layer", "original", "--out", "short", "--words", "-1")
    assert Layer.open(dataset.folder / "layers/short").count == len(SAID)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--layer", "self-1", "-o", "self-1"], "there is such a layer"),
        (["--layer", "slef-1", "-o", "x"], "self-1"),
        (["--layer", "self-1", "-o", "x", "--words", "9-2"], "the range is empty"),
        (["--layer", "self-1", "-o", "x", "--words", "many"], "not a range"),
        (["--layer", "self-1", "-o", "x", "--words", "90-"], "nothing is left"),
        (["--layer", "self-1", "-o", "x", "--status", "good"], "there is no such status"),
        (["--layer", "self-1", "-o", "x", "--without-fate", "contradicted"], "is not merged"),
        (["--layer", "self-1", "-o", "a/b"], "cannot be named"),
    ],
)
def test_what_is_wrong_is_said_and_no_layer_is_begun(dataset, options, said):
    assert said in run(dataset, "filter", *options, code=2)
    assert [path.name for path in (dataset.folder / "layers").iterdir()] == ["self-1"]


def test_statistics_name_the_commonest_caption(dataset):
    assert "commonest in self-1: 2 of 4 say 'A photo.'" in run(dataset, "stats").replace(
        "a  photo.", "A photo."
    )
    layers = {one["name"]: one for one in json.loads(run(dataset, "stats", "--json"))["layers"]}
    assert layers["self-1"]["commonest_count"] == 2
    assert layers["original"]["commonest_count"] == 0 and layers["original"]["commonest"] == ""
