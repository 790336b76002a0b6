"""A folder of images with text files: keys, what is left out, and photos without text."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import Reject, ShardDataset, write_dataset
from vila2.errors import DataError
from vila2.sources.folder import read


@pytest.fixture
def photos(tmp_path) -> Path:
    root = tmp_path / "photos"
    for name in (
        "b.jpg",
        "a/one.png",
        "a/two.jpeg",
        "a/two.PNG",
        "odd name.é.jpg",
        ".hidden/c.jpg",
        "a/._two.jpg",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / name)
    (root / "a/one.txt").write_text("one caption\n")
    (root / "a/two.txt").write_text("\ufeffshared caption", encoding="utf-8")
    (root / "b.txt").write_text("  \n")
    (root / "notes.md").write_text("no image")
    return root


def test_images_and_texts_become_pairs(photos):
    found = list(read(photos))
    assert [(item.key, isinstance(item, Sample)) for item in found] == [
        ("a/one", True),
        ("a/two.PNG", True),
        ("a/two.jpeg", True),
        ("b", False),
        ("odd name.é", False),
    ]
    assert found[0].turns == (user(ImagePart()), assistant("one caption"))
    assert found[0].meta == {"image": "a/one.png"}
    assert found[1].turns[1].text == "shared caption"
    assert found[3] == Reject(str(photos / "b.jpg"), "b", "missing-text", "b.txt is empty")
    assert found[4].detail == "odd name.é.txt is missing"


def test_photos_without_text_can_be_kept_for_captioning(photos, tmp_path):
    info = write_dataset(tmp_path / "out", read(photos, require_text=False), name="photos")
    dataset = ShardDataset.open(info.folder)
    assert dataset.keys() == ["a/one", "a/two.PNG", "a/two.jpeg", "b", "odd name.é"]
    assert dataset[3].turns == (user(ImagePart()),)
    assert info.rejected == {}


def test_a_prompt_is_what_the_user_asks(photos):
    assert next(read(photos, prompt="Describe it.")).turns == (
        user(ImagePart(), "Describe it."),
        assistant("one caption"),
    )


def test_slices_and_unreadable_files(photos):
    assert [item.key for item in read(photos, start=1, count=2)] == ["a/two.PNG", "a/two.jpeg"]
    (photos / "a/one.txt").write_bytes(b"caf\xe9")
    assert next(read(photos)).reason == "unreadable-text"
    (photos / "a/zero.jpg").symlink_to(photos / "gone.jpg")
    assert [item.reason for item in read(photos, start=3, count=1)] == ["unreadable-file"]


def test_a_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no image in this folder"):
        list(read(tmp_path))
    with pytest.raises(DataError, match="no such folder"):
        list(read(tmp_path / "nothing"))
