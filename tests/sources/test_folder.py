"""A folder of images with text files: keys, what is left out, and photos without text."""

from __future__ import annotations

import importlib.util
import json
import os
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
        ("", False),
    ]
    assert found[0].turns == (user(ImagePart()), assistant("one caption"))
    assert found[0].meta == {"image": "a/one.png"}
    assert found[1].turns[1].text == "shared caption"
    assert found[3] == Reject(str(photos / "b.jpg"), "b", "missing-text", "b.txt is empty")
    assert found[4].detail == "odd name.é.txt is missing"
    assert found[5] == Reject(str(photos / "notes.md"), "", "left-alone", "1 files of this kind: md")


def test_photos_without_text_can_be_kept_for_captioning(photos, tmp_path):
    info = write_dataset(tmp_path / "out", read(photos, require_text=False), name="photos")
    dataset = ShardDataset.open(info.folder)
    assert dataset.keys() == ["a/one", "a/two.PNG", "a/two.jpeg", "b", "odd name.é"]
    assert dataset[3].turns == (user(ImagePart()),)
    assert info.rejected == {"left-alone": 1}


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


def test_images_of_every_kind_are_read_or_named(tmp_path):
    picture = Image.new("RGB", (8, 8), (200, 0, 0))
    for name in ("a.jfif", "b.avif", "c.JP2", "d.tiff", "e.bmp", "f.gif", "g.webp", "h.ico", "i.ppm"):
        kind = {"jfif": "JPEG"}.get(name[2:])
        picture.save(tmp_path / name, kind)
    (tmp_path / "phone.heic").write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
    (tmp_path / "raw.CR2").write_bytes(b"II*\x00")
    (tmp_path / "a.raf").write_bytes(b"raw of a")
    info = write_dataset(tmp_path / "out", read(tmp_path, require_text=False), name="kinds")
    assert ShardDataset.open(info.folder).keys() == list("abcdefghi")
    lines = {line["key"]: line for line in map(json.loads, (tmp_path / "out/rejected.jsonl").open())}
    assert lines["a.raf"]["reason"] == lines["raw.CR2"]["reason"] == "unknown-format"
    assert "phone" in lines, "what stands in for a photo here holds no picture"
    if importlib.util.find_spec("pillow_heif") is None:
        assert lines["phone"]["reason"] == "unknown-format" and "pillow-heif" in lines["phone"]["detail"]


def test_texts_beside_an_image_in_any_form(tmp_path):
    for name in "abcdef":
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.jpg")
    (tmp_path / "a.caption").write_text("kohya")
    (tmp_path / "b.TXT").write_text("upper")
    (tmp_path / "c.jpg.txt").write_text("after the whole name")
    (tmp_path / "d.txt").write_text("first")
    (tmp_path / "d.caption").write_text("other")
    (tmp_path / "e.txt").write_text("é", encoding="utf-16")
    (tmp_path / "f.txt").write_bytes(b"caf\xe9")
    (tmp_path / "lost.txt").write_text("of no photo")
    found = list(read(tmp_path))
    assert [item.turns[1].text for item in found[:5]] == [
        "kohya",
        "upper",
        "after the whole name",
        "first",
        "é",
    ]
    assert found[3].meta == {"image": "d.jpg", "other_texts": {"d.caption": "other"}}
    assert (found[5].reason, found[5].where) == ("unreadable-text", str(tmp_path / "f.txt"))
    assert "0xe9 at 3" in found[5].detail and "Latin-1" in found[5].detail
    assert (found[6].reason, found[6].key) == ("no-image", "lost")


def test_odd_names_pipes_and_links_do_not_stop_the_others(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    other = tmp_path / "elsewhere"
    other.mkdir()
    Image.new("RGB", (8, 8)).save(other / "far.jpg")
    (other / "back").symlink_to(root)
    (root / "linked").symlink_to(other)
    (root / "a link within").symlink_to(root)
    odd = os.fsencode(root) + b"/caf\xe9.jpg"
    with open(odd, "wb") as file:
        Image.new("RGB", (8, 8), (9, 9, 9)).save(file, "JPEG")
    os.mkfifo(root / "pipe.jpg")
    info = write_dataset(tmp_path / "out", read(root, require_text=False), name="odd")
    assert ShardDataset.open(info.folder).keys() == [r"caf\xe9", "linked/far"]
    (line,) = map(json.loads, (tmp_path / "out/rejected.jsonl").open())
    assert (line["key"], line["reason"]) == ("pipe", "unreadable-file") and "a named pipe" in line["detail"]


def test_a_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no image in this folder"):
        list(read(tmp_path))
    with pytest.raises(DataError, match="no such folder"):
        list(read(tmp_path / "nothing"))
    (tmp_path / "00000.tar").touch()
    with pytest.raises(DataError, match="but tars") as error:
        list(read(tmp_path))
    assert "img2dataset" in error.value.hint
    with pytest.raises(DataError, match="is a tar, not a folder"):
        list(read(tmp_path / "00000.tar"))
