"""The folder of an export: tables and plain files, the card, and what happens to what was there before."""

from __future__ import annotations

import csv
import json
import tarfile

import pytest

from vila2.errors import DataError


def test_datasets_opens_the_tables_with_images(export):
    datasets = pytest.importorskip("datasets")
    folder, made = export("trl", "self-1", view="dialogue(original,self-1)")
    opened = datasets.load_dataset(str(folder), split="train")
    assert len(opened) == made.rows == 6
    dog = opened[0]
    assert [image.size for image in dog["images"]] == [(80, 40)]
    assert [part["type"] for part in dog["messages"][0]["content"]] == ["image"]
    assert dog["messages"][-1]["content"] == [{"type": "text", "text": "A dog."}]
    tag = next(row for row in opened if row["key"] == "tag")
    assert tag["messages"][1]["content"] == [{"type": "text", "text": "write <image> here"}]


def test_a_second_export_is_not_mistaken_for_the_first(export, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    out, _ = export("trl", out=tmp_path / "one/trl")
    first = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    export("trl", "self-1", out=out, replace_old=True)
    second = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    other, _ = export("trl", "boxes", out=tmp_path / "two/trl")
    third = datasets.load_dataset(str(other), split="train", cache_dir=str(tmp_path / "cache"))
    said = [found[0]["messages"][-1]["content"][0]["text"] for found in (first, second, third)]
    assert said == ["our dog", "A dog.", "[0.500,0.250]"]


def test_the_hubs_table_has_an_image_and_a_caption(export):
    datasets = pytest.importorskip("datasets")
    folder, _ = export("huggingface")
    opened = datasets.load_dataset(str(folder), split="train")
    assert isinstance(opened.features["image"], datasets.Image)
    by_key = {row["key"]: row for row in opened}
    assert by_key["dog"]["caption"] == "our dog" and by_key["dog"]["image"].size == (80, 40)
    assert by_key["two"]["image"] is None and len(by_key["two"]["images"]) == 2


def test_webdataset_reads_the_tars(export):
    webdataset = pytest.importorskip("webdataset")
    folder, made = export("webdataset")
    read = list(webdataset.WebDataset(str(folder / "000000.tar"), shardshuffle=False))
    assert len(read) == made.rows == 6
    assert read[0]["txt"] == b"our dog" and read[0]["jpg"][:2] == b"\xff\xd8"
    with tarfile.open(folder / "000000.tar") as tar:
        assert "two.1.jpg" in tar.getnames()


def test_csv_has_a_row_for_each_answer(export):
    folder, _ = export("csv", "boxes")
    with (folder / "data.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [(row["question"], row["answer"]) for row in found] == [
        ("Where is it?", "At [0.125,0.250,0.500,0.750]."),
        ("Point at it.", "[0.500,0.250]"),
    ]
    assert {row["image"] for row in found} == {"images/dog.jpg"}


def test_a_text_stands_beside_each_image(export):
    folder, made = export("text")
    assert (folder / "dog.txt").read_text() == "our dog\n" and (folder / "dog.jpg").is_file()
    assert made.left_out == {"not-one-image": 2}


def test_unusable_annotations_are_counted_not_exported(export):
    _, made = export("llava", "self-1")
    assert made.rows == 1 and made.dropped == {"missing": 4, "repetition": 1}


def test_a_place_in_pixels_of_several_images_is_left_out(export, dataset):
    folder, made = export("llava", "boxes", coordinates="pixels")
    assert made.rows == 1
    assert "[10, 10, 40, 30]" in (folder / "data.json").read_text()


def test_the_card_tells_where_texts_come_from(export):
    from huggingface_hub import DatasetCard

    folder, _ = export("huggingface", "self-1", license="cc-by-4.0")
    card = DatasetCard.load(folder / "README.md")
    assert card.data.license == "cc-by-4.0" and card.data.annotations_creators == ["machine-generated"]
    for told in ("Layer `self-1`", "ok 1", "repetition 1", "abababababababab", "Describe it at length."):
        assert told in card.text
    assert json.loads((folder / "export.json").read_text())["layers"][0]["name"] == "self-1"


def test_nothing_foreign_is_replaced(export, tmp_path):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    for replace_old in (False, True):
        with pytest.raises(DataError, match="something else is there"):
            export("llava", out=out, replace_old=replace_old)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_an_earlier_export_is_replaced_only_when_asked(export, tmp_path):
    out, _ = export("llava", out=tmp_path / "one")
    with pytest.raises(DataError, match="an export is there"):
        export("csv", out=out)
    export("csv", out=out, replace_old=True)
    assert (out / "data.csv").is_file() and not (out / "data.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["one"]  # nothing is left beside it
