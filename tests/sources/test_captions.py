"""Images with several captions: which becomes the text, and the real Flickr8k."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.errors import DataError
from vila2.sources.caption_rows import chosen_caption, read

FIVE = ["A dog .", "a brown dog runs", "dogs!", "The brown dog is running fast .", "Two"]


@pytest.mark.parametrize(
    ("choose", "text"),
    [
        ("first", "A dog ."),
        ("shortest", "Two"),
        ("longest", "The brown dog is running fast ."),
        ("join", "A dog. A brown dog runs. Dogs! The brown dog is running fast. Two."),
    ],
)
def test_choices(choose, text):
    assert chosen_caption(FIVE, choose) == text


def test_a_paragraph_of_the_most_different_captions_leaves_out_what_was_said():
    assert chosen_caption(FIVE, "join", 2) == "The brown dog is running fast. A brown dog runs."
    assert chosen_caption(["A dog.", "a Dog", "A dog!"], "join", 3) == "A dog."


def test_each_caption_sees_the_image_and_no_other_caption(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "x.jpg")
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"image": "x.jpg", "captions": ["One", "Two", "One"]}))
    (sample,) = read(path, choose="each", prompt="What is it?")
    assert sample.turns == (
        user(ImagePart(), "What is it?"),
        assistant("One", branch=1),
        assistant("Two", branch=2),
    )
    (bare,) = read(path, choose="each")
    assert bare.turns[0] == user(ImagePart())


def test_join_belongs_to_paragraphs(tmp_path):
    for options in ({"choose": "first", "join": 2}, {"choose": "join", "join": 0}):
        with pytest.raises(DataError, match="join="):
            next(read(tmp_path, **options))


def test_rows_become_samples_with_all_captions_as_references(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "x.jpg")
    rows = [
        {"image": "x.jpg", "captions": FIVE, "width": 8},
        {"image": "x.jpg", "captions": "  "},
        {"image": "x.jpg"},
        {"image": "gone.jpg", "captions": ["a"]},
        {"image": "x.jpg", "captions": ["another"]},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = list(read(path, choose="shortest", prompt="Describe it."))
    assert found[0] == Sample(
        "x",
        ((tmp_path / "x.jpg").read_bytes(),),
        (user(ImagePart(), "Describe it."), assistant("Two")),
        {"image": "x.jpg", "width": 8, "references": FIVE},
    )
    assert [item.reason for item in found[1:4]] == ["missing-text", "missing-field", "unreadable-file"]
    assert found[4].key == "x#4"
    with pytest.raises(DataError, match="best"):
        next(read(path, choose="best"))


def test_flickr8k(tmp_path):
    root = Path(os.environ.get("VILA2_REALDATA", Path(__file__).parents[3] / "shared" / "realdata"))
    if not (root / "flickr8k" / "train.jsonl").exists():
        pytest.skip("no Flickr8k in VILA2_REALDATA")
    path = root / "flickr8k" / "train.jsonl"
    info = write_dataset(
        tmp_path, read(path, choose="shortest", start=100, count=40), name="flickr8k", shard_size=16
    )
    assert (info.count, info.rejected) == (40, {})
    dataset = ShardDataset.open(tmp_path)
    rows = [json.loads(line) for line in path.read_text().splitlines()[100:140]]
    assert dataset.keys() == [row["image"].removesuffix(".jpg") for row in rows]
    for sample, row in zip(dataset, rows, strict=True):
        words = min(len(caption.split()) for caption in row["captions"])
        assert len(sample.turns[1].text.split()) == words
        assert sample.meta["references"] == [caption.strip() for caption in row["captions"]]
    longest = [len(sample.turns[1].text.split()) for sample in read(path, choose="longest", count=20)]
    joined = [len(sample.turns[1].text.split()) for sample in read(path, choose="join", count=20)]
    assert sum(joined) > 3 * sum(longest)
