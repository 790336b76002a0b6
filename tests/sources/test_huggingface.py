"""Hugging Face datasets on disk: images as stored, texts and conversations, and rows that are rejected."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from PIL import Image

from vila2.data.sample import ImagePart, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.errors import DataError
from vila2.sources.huggingface import read

datasets = pytest.importorskip("datasets", reason="the extra `hub` is not installed")


def jpeg(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (number, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    talk = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cat."}]
    rows = {
        "image": [{"bytes": jpeg(n), "path": None} for n in range(3)] + [None],
        "images": [[{"bytes": jpeg(n), "path": None}, {"bytes": jpeg(9), "path": None}] for n in range(4)],
        "text": ["zero", "one", " ", "three"],
        "captions": [["a", "b"], [], ["c"], ["d"]],
        "talk": [talk, talk, talk[1:], talk],
        "name": ["n0", "n1", "n2", "n3"],
    }
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "images": datasets.List(datasets.Image()),
            "text": datasets.Value("string"),
            "captions": datasets.List(datasets.Value("string")),
            "talk": datasets.List({"from": datasets.Value("string"), "value": datasets.Value("string")}),
            "name": datasets.Value("string"),
        }
    )
    made = datasets.Dataset.from_dict(rows, features=features)
    made.save_to_disk(folder / "plain")
    datasets.DatasetDict({"train": made}).save_to_disk(folder / "splits")
    made.to_parquet(folder / "files" / "train.parquet")
    return folder


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)


@pytest.mark.parametrize("where", ["plain", "splits", "files"])
@pytest.mark.parametrize("streaming", [True, False])
def test_pairs_keep_the_bytes_of_their_images(saved, where, streaming):
    found = list(read(saved / where, streaming=streaming))
    assert found[0].key == "train-000000000"
    assert found[0].images == (jpeg(0),)
    assert found[0].turns == (user(ImagePart()), assistant("zero"))
    assert [getattr(item, "reason", "taken") for item in found] == [
        "taken",
        "taken",
        "missing-text",
        "no-image",
    ]


def test_conversations_lists_and_keys(saved):
    found = list(read(saved / "plain", text_key="talk", id_key="name"))
    assert [(item.key, getattr(item, "reason", "taken")) for item in found] == [
        ("n0", "taken"),
        ("n1", "taken"),
        ("n2", "placeholder-mismatch"),
        ("n3", "placeholder-mismatch"),
    ]
    assert found[0].turns == (user(ImagePart(), "What?"), assistant("A cat."))
    several = list(read(saved / "plain", image_key="images", text_key="captions", prompt="Compare."))
    assert several[0].images == (jpeg(0), jpeg(9))
    assert several[0].turns == (user(ImagePart(0), ImagePart(1), "Compare."), assistant("a"))
    assert several[0].meta["references"] == ["a", "b"], "the caption that is not the text is kept"
    assert several[1].reason == "missing-text"
    words = list(read(saved / "plain", image_key="", start=3, count=1))
    assert (words[0].images, words[0].turns) == ((), (assistant("three"),))


def test_it_imports_into_shards(saved, tmp_path):
    info = write_dataset(tmp_path, read(saved / "files"), name="hub")
    assert (info.count, info.rejected) == (2, {"no-image": 1, "missing-text": 1})
    assert ShardDataset.open(tmp_path)[1].turns[1].text == "one"


def test_wrong_names_get_a_hint(saved, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"no column 'txt'; columns: image, images, text"):
        list(read(saved / "plain", text_key="txt"))
    with pytest.raises(DataError, match="no split 'tset'; splits: train"):
        list(read(saved / "splits", split="tset"))
    with pytest.raises(DataError, match="no such file or folder"):
        list(read(tmp_path / "nothing"))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="pip install datasets"):
        list(read(saved / "plain"))
