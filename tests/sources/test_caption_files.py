"""Captions in files of others: COCO's, Karpathy's, tables, and the output of ``vila2 recaption``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.errors import DataError
from vila2.sources.caption_rows import read


@pytest.fixture
def photos(tmp_path) -> Path:
    for name in ("a.jpg", "sub/b.jpg"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (ord(name[0]), 0, 0)).save(tmp_path / "photos" / name)
    return tmp_path


def line(key: str, status: str = "ok", **more: object) -> dict[str, object]:
    """A line of ``vila2 recaption``."""
    row = {
        "key": key,
        "file": f"photos/{key}",
        "prompt_name": "detailed",
        "prompt": "Describe it.",
        "text": f"A {key}.",
        "status": status,
        "detail": "cut off at 80 tokens",
        "tokens": 9,
        "model": "m",
    }
    return row | more


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_captions_of_recaption_come_back_without_options(photos, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    marks = ("truncated", "refusal", "repetition", "empty")
    rows = [line("a.jpg"), line("sub/b.jpg"), *(line(f"{mark}.jpg", mark) for mark in marks)]
    info = write_dataset(photos / "out", read(write(photos / "captions.jsonl", *rows)), name="captions")
    assert (info.count, info.rejected) == (2, {"empty": 1, "refusal": 1, "repetition": 1, "truncated": 1})
    one, two = ShardDataset.open(photos / "out")
    assert (one.key, two.key) == ("a", "sub/b")
    assert two.turns == (user(ImagePart()), assistant("A sub/b.jpg."))
    assert two.images == ((photos / "photos" / "sub" / "b.jpg").read_bytes(),)
    assert (two.meta["prompt"], two.meta["status"], two.meta["references"]) == (
        "Describe it.",
        "ok",
        ["A sub/b.jpg."],
    )


def test_photos_that_were_captioned_from_elsewhere_or_moved_are_found(photos, monkeypatch):
    (photos / "results").mkdir()
    path = write(photos / "results" / "captions.jsonl", line("a.jpg"), line("sub/b.jpg"))
    assert [item.reason for item in read(path)] == ["unreadable-file"] * 2
    monkeypatch.chdir(photos)  # where `vila2 recaption photos --out results/captions.jsonl` was called
    assert all(isinstance(item, Sample) for item in read(path))
    monkeypatch.chdir("/")
    (photos / "photos").rename(photos / "moved")
    assert [item.key for item in read(path, image_root=photos / "moved")] == ["a", "sub/b"]


def test_a_status_of_another_kind_is_a_field_like_any_other(photos):
    (sample,) = read(
        write(photos / "rows.jsonl", {"image": "photos/a.jpg", "text": "A cat.", "status": "active"})
    )
    assert sample.meta["status"] == "active"


def coco(**more: object) -> dict[str, object]:
    return {
        "info": {"year": 2017},
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 8},
            {"id": 7, "file_name": "sub/b.jpg"},
            {"id": 8, "file_name": "c"},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "caption": "B one."},
            {"id": 2, "image_id": 1, "caption": "A one."},
            {"id": 3, "image_id": 7, "caption": "B two."},
            {"id": 4, "image_id": 9, "caption": "Nobody's."},
        ],
        **more,
    }


@pytest.mark.parametrize("indent", [None, 2])
def test_cocos_captions_are_joined_by_image(photos, indent):
    path = photos / "captions_val.json"
    path.write_text(json.dumps(coco(), indent=indent))
    lost, one, two, none = read(path, image_root=photos / "photos")
    assert (lost.where, lost.reason) == (f"{path}: annotations[3]", "no-image")
    assert (one.key, one.meta["references"], one.meta["width"]) == ("a", ["A one."], 8)
    assert (two.key, two.meta["references"]) == ("sub/b", ["B one.", "B two."])
    assert (none.where, none.reason) == (f"{path}: images[2]", "missing-text")


def test_cocos_image_ids_that_stand_twice_are_an_error(photos):
    path = photos / "captions.json"
    path.write_text(
        json.dumps(coco(images=[{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "sub/b.jpg"}]))
    )
    with pytest.raises(DataError, match="two images have the id 1"):
        list(read(path))
    path.write_text(json.dumps(coco(annotations=[{"image_id": 1, "bbox": [0, 0, 1, 1]}])))
    with pytest.raises(
        DataError, match=r"hold no captions; their fields: image_id, bbox(.|\n)*source evidence"
    ):
        list(read(path))


def test_other_documents_of_captions(photos):
    path = photos / "photos" / "captions.json"
    path.write_text(json.dumps({"a.jpg": "One.", "sub/b.jpg": ["Two.", "Three."]}))
    assert [item.meta["references"] for item in read(path)] == [["One."], ["Two.", "Three."]]
    karpathy = {
        "dataset": "x",
        "images": [{"filename": "a.jpg", "sentences": [{"raw": "One."}, {"raw": "Two."}]}],
    }
    path.write_text(json.dumps(karpathy))
    (sample,) = read(path)
    assert (sample.key, sample.meta["references"]) == ("a", ["One.", "Two."])


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (
            {"image": "photos/a.jpg", "text": '[{"from": "human", "value": "Hi"}]'},
            "missing-text",
            "source llava",
        ),
        (
            {"image": "photos/a.jpg", "caption": [{"role": "user", "content": "Hi"}]},
            "missing-text",
            "source llava",
        ),
        ({"image": "photos/a.jpg", "caption": 3}, "missing-text", "but 3"),
        (
            {"image": "photos/a.jpg", "label": "cat"},
            "missing-field",
            "fields: image, label; name the field with text_key",
        ),
        (
            {"pic": "photos/a.jpg", "caption": "A cat."},
            "missing-field",
            "fields: pic, caption; name the field with image_key",
        ),
        ({"image": ["photos/a.jpg", "photos/a.jpg"], "caption": "Two."}, "bad-row", "2 images"),
        ({"image": "", "caption": "A cat."}, "no-image", "'image' is empty"),
        ({"url": "http://x/a.jpg", "caption": "A cat."}, "remote-image", "img2dataset"),
        ({"video": "v.mp4", "caption": "A dog runs."}, "video", "video rows are not read"),
    ],
)
def test_what_is_no_caption_of_an_image_is_named(photos, row, reason, detail):
    (bad,) = read(write(photos / "rows.jsonl", row))
    assert (bad.reason, detail in bad.detail) == (reason, True), bad
