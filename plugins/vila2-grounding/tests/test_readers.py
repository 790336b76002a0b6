"""GRIT as rows, Parquet and tars; what img2dataset did to images; VOC and other boxes."""

from __future__ import annotations

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROW, picture, row_file, tar_file

from vila2_grounding import readers
from vila2_grounding.grounded import Grounded, narration
from vila2_grounding.readers.spans import read_phrases


def all_of(path, **settings):
    items = [item for piece in readers.pieces(path) for item in readers.read(path, piece, **settings)]
    return [i for i in items if isinstance(i, Grounded)], [i for i in items if not isinstance(i, Grounded)]


def said(grounded):
    return {grounded.words(phrase): len(phrase.boxes) for phrase in grounded.phrases}


def parquet(folder, row, name="a.parquet"):
    floats = {**row, "noun_chunks": [[float(n) for n in entry] for entry in row["noun_chunks"]]}
    pq.write_table(pa.Table.from_pylist([floats]), folder / name)
    return folder / name


def test_rows_parquet_and_tars_say_the_same(tmp_path):
    rows = row_file(tmp_path, ROW)
    (tmp_path / "tars").mkdir()
    tar_file(
        tmp_path / "tars" / "00000.tar", {**ROW, "original_width": 400, "original_height": 300}, picture()
    )
    for path in (rows, parquet(tmp_path, ROW), tmp_path / "tars"):
        found, refused = all_of(path)
        assert not refused
        assert said(found[0]) == {"a brown dog": 1, "two cats": 2}, path
        expressions = [found[0].words(one) for one in found[0].expressions]
        assert expressions == ["a brown dog and two cats on a wall", "two cats on a wall"]
        assert found[0].caption == ROW["caption"], "spans count the raw caption's characters"


def test_boxes_stand_behind_their_phrases_in_order(tmp_path):
    found, _ = all_of(row_file(tmp_path, ROW))
    parts = narration(found[0], found[0].phrases)
    assert [getattr(part, "text", None) or part.box[0] for part in parts] == [
        "  a brown dog ", 0.1, " and two cats ", 0.3, 0.6, " on a wall  ",
    ]  # fmt: skip


def test_files_with_equal_keys_do_not_collide(tmp_path, build):
    row_file(tmp_path, ROW)
    (tmp_path / "rows.jsonl").unlink()
    parquet(tmp_path, ROW, "one.parquet"), parquet(tmp_path, ROW, "two.parquet")
    samples, _ = build(tmp_path)
    assert sorted(sample.key for sample in samples) == ["one/000000012", "two/000000012"]


def test_images_are_found_where_img2dataset_puts_files(tmp_path):
    rows = row_file(tmp_path, {**ROW, "key": "000120003"})
    folder = tmp_path / "elsewhere" / "00012"
    folder.mkdir(parents=True)
    shutil.move(tmp_path / "000120003.jpg", folder)
    assert len(all_of(rows, images=tmp_path / "elsewhere")[0]) == 1
    assert all_of(rows)[1][0].reason == "unreadable-file"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ([2, 13, 0.1, 0.2, 0.3], "bad-annotation"),
        ("12", "bad-annotation"),
        ([2, 130, 0.1, 0.2, 0.3, 0.5, 1], "bad-span"),
        ([2.5, 13, 0.1, 0.2, 0.3, 0.5, 1], "bad-span"),
        ([5, 13, 0.1, 0.2, 0.3, 0.5, 1], "bad-span"),
        ([2, 12, 0.1, 0.2, 0.3, 0.5, 1], "bad-span"),
        ([2, 13, 10, 20, 30, 50, 1], "bad-box"),
        ([2, 13, 0.3, 0.2, 0.1, 0.5, 1], "bad-box"),
        ([2, 13, 0.1, float("nan"), 0.3, 0.5, 1], "bad-annotation"),
    ],
)
def test_an_annotation_that_can_not_be_used_is_refused(entry, reason):
    refused = []
    phrases = read_phrases([entry], ROW["caption"], lambda *why: refused.append(why[0]))
    assert refused == [reason] and not phrases


def test_a_caption_that_was_cleaned_is_noticed(tmp_path):
    _, refused = all_of(row_file(tmp_path, {**ROW, "caption": ROW["caption"].replace("brown ", "")}))
    assert {one.reason for one in refused} == {"bad-span"}


@pytest.mark.parametrize(("size", "resized"), [((32, 32), "reject"), ((32, 20), "border")])
def test_an_image_of_another_shape_than_its_original_is_refused(tmp_path, size, resized):
    row = {**ROW, "original_width": 400, "original_height": 300}
    found, refused = all_of(tar_file(tmp_path / "0.tar", row, picture(*size)), resized=resized)
    assert not found and refused[0].reason == "reshaped-image" and "400x300" in refused[0].detail


def test_boxes_move_with_the_border_of_a_letterboxed_image(tmp_path):
    row = {**ROW, "original_width": 400, "original_height": 200}
    found, _ = all_of(tar_file(tmp_path / "0.tar", row, picture(32, 32)), resized="border")
    assert found[0].phrases[0].boxes[0] == pytest.approx((0.1, 0.35, 0.3, 0.5))
    kept, _ = all_of(tmp_path / "0.tar", resized="keep")
    assert kept[0].phrases[0].boxes[0] == (0.1, 0.2, 0.3, 0.5)


def voc(folder, objects: str):
    (folder / "Annotations").mkdir()
    (folder / "JPEGImages").mkdir()
    (folder / "JPEGImages" / "a.jpg").write_bytes(picture())
    (folder / "Annotations" / "a.xml").write_text(
        f"<annotation><filename>a.jpg</filename><size><width>40</width><height>30</height></size>{objects}</annotation>"
    )
    return folder


def thing(name: str, box: tuple) -> str:
    sides = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    inner = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
    return f"<object><name>{name}</name><bndbox>{inner}</bndbox></object>"


def test_voc_becomes_a_sentence_with_boxes(tmp_path):
    objects = thing("dog", (21, 1, 40, 15)) + thing("person", (1, 1, 10, 15)) + thing("dog", (5, 1, 14, 15))
    found, refused = all_of(voc(tmp_path, objects))
    assert not refused
    assert found[0].caption.endswith(("a person and two dogs.",))
    assert said(found[0]) == {"a person": 1, "two dogs": 2}
    assert found[0].phrases[0].boxes == ((0.0, 0.0, 0.25, 0.5),)


def test_voc_with_entities_is_not_read(tmp_path):
    folder = voc(tmp_path, "")
    (folder / "Annotations" / "a.xml").write_text(
        '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>'
    )
    assert all_of(folder)[1][0].reason == "bad-xml"


def test_coco_feeds_it_without_code(tmp_path, build):
    (tmp_path / "a.jpg").write_bytes(picture())
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 15]}],
        "categories": [{"id": 1, "name": "Dining table"}],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    samples, refused = build(tmp_path / "boxes.json")
    assert not refused and samples[0].meta["phrases"][0]["category"] == "dining table"
