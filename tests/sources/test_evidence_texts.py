"""Text boxes of other tools: read where their form says what they mean, else refused with what to change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vila2.data.evidence import Evidence
from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources.evidence import open_evidence

QUAD = [[10, 10], [50, 10], [50, 20], [10, 20]]
OUTLINE = ((0.05, 0.1), (0.25, 0.1), (0.25, 0.2), (0.05, 0.2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    return tmp_path


def row(folder: Path, *texts: Any, **fields: Any) -> tuple[Evidence | None, list[Reject]]:
    path = folder / "rows.jsonl"
    path.write_text(json.dumps({"image": "a.png", "texts": list(texts), **fields}))
    items = list(open_evidence(path))
    sample = next((item for item in items if isinstance(item, Sample)), None)
    return sample and Evidence.of(sample), [item for item in items if isinstance(item, Reject)]


@pytest.mark.parametrize(
    "entry",
    [
        {"transcription": "ABC", "points": QUAD},
        {"text": "ABC", "box": QUAD},
        {
            "text": "ABC",
            "quad": {"x1": 10, "y1": 10, "x2": 50, "y2": 10, "x3": 50, "y3": 20, "x4": 10, "y4": 20},
        },
        {"text": "ABC", "points": [value for point in QUAD for value in point]},
        [QUAD, "ABC", 0.98],
        [QUAD, ["ABC", 0.98]],
    ],
)
def test_the_forms_of_other_tools_say_the_same(folder, entry):
    evidence, rejects = row(folder, entry)
    assert not rejects and evidence.all_texts
    assert [(text.text, text.outline) for text in evidence.texts] == [("ABC", OUTLINE)]


def test_a_whole_number_is_text_and_another_may_have_lost_a_digit(folder):
    entry = {"box": [1, 1, 20, 20]}
    evidence, (reject, field) = row(
        folder, entry | {"text": 1250}, entry | {"text": 9.5}, fields={"total": 9.5, "no": 7, "date": "1/2"}
    )
    assert [text.text for text in evidence.texts] == ["1250"] and not evidence.all_texts
    assert reject.reason == "unreadable-text" and "digit by digit" in reject.detail
    assert evidence.fields == {"no": "7", "date": "1/2"} and "'total'" in field.detail


@pytest.mark.parametrize(
    ("entry", "reason", "detail"),
    [
        ({"text": "T", "points": QUAD[:3]}, "bad-box", "3 points; needed are four"),
        ({"text": "T", "quad": ["1"] * 8}, "bad-box", "['1', '1'"),
        ({"text": "T", "box": [500, 50, 900, 90]}, "bad-box", "(200x100)"),
        ({"text": "T", "box": [0.1, 0.1, 0.4, 0.3]}, "bad-box", "shares of the image"),
        ({"text": "T", "box": [float("nan"), 1, 2, 3]}, "bad-box", "nan"),
        ({"text": "T", "box": [10**400, 1, 2, 3]}, "bad-box", "1000"),
        ({"text": "T"}, "bad-box", "no 'box'"),
        ({"value": "T", "box": [1, 1, 9, 9]}, "missing-text", "only 'value', 'box'"),
        ({"text": True, "box": [1, 1, 9, 9]}, "unreadable-text", "True"),
        ("T", "bad-text", "no object"),
        (None, "bad-text", "no object"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused_by_its_number(folder, entry, reason, detail):
    evidence, (reject,) = row(folder, {"text": "ok", "box": [1, 1, 20, 20]}, entry)
    assert [text.text for text in evidence.texts] == ["ok"] and not evidence.all_texts
    assert (
        reject.where.endswith("rows.jsonl:1.texts[1]") and reject.reason == reason and detail in reject.detail
    )


def test_parts_of_the_image_are_taken_for_pixels_only_where_the_row_says_so(folder):
    entry = {"text": "T", "box": [0.1, 0.1, 0.4, 0.3]}
    evidence, (reject,) = row(folder, entry, {"text": "U", "box": [0, 0, 1, 1]})
    assert evidence is None and reject.reason == "unsure-scale" and '"scale": "unit"' in reject.detail
    evidence, rejects = row(folder, entry, scale="unit")
    assert not rejects and evidence.texts[0].outline[2] == (0.4, 0.3)
    _, (reject,) = row(folder, {"text": "T", "box": [100, 100, 400, 300]}, scale="unit")
    assert reject.reason == "bad-box" and "not shares of the image" in reject.detail


def test_boxes_with_width_and_height_are_not_taken_for_corners(folder):
    evidence, (reject,) = row(
        folder, {"text": "TOTAL", "bbox": [10, 10, 60, 20]}, {"text": "9.50", "bbox": [100, 10, 40, 20]}
    )
    assert evidence is None and reject.reason == "unsure-boxes" and "x, y, width, height" in reject.detail
    evidence, (reject,) = row(
        folder, *[{"text": "a", "box": [1, 1, 20, 9]}] * 3, {"text": "b", "box": [9, 9, 1, 20]}
    )
    assert len(evidence.texts) == 3 and reject.where.endswith("texts[3]")


@pytest.mark.parametrize("texts", [None, "ABC", {"text": "A", "box": [1, 1, 2, 2]}, 7])
def test_texts_that_are_no_list_are_refused(folder, texts):
    (folder / "rows.jsonl").write_text(json.dumps({"image": "a.png", "texts": texts}))
    (reject,) = open_evidence(folder / "rows.jsonl")
    assert reject.reason == "bad-row" and "use a list" in reject.detail


@pytest.mark.parametrize("inside", ["", "receipts/"])
def test_a_label_file_of_paddleocr_is_read(tmp_path, inside):
    folder = tmp_path / "receipts"
    folder.mkdir()
    Image.new("RGB", (200, 100)).save(folder / "a.png")
    texts = [
        {"transcription": "ABC", "points": QUAD, "difficult": False},
        {"transcription": "###", "points": QUAD},
    ]
    lines = [f"{inside}a.png\t{json.dumps(texts)}", "broken", f"{inside}a.png\t[{{]"]
    (folder / "Label.txt").write_text("\n".join(lines))
    sample, *rejects = sorted(open_evidence(folder / "Label.txt"), key=lambda item: isinstance(item, Reject))
    assert [text.outline for text in Evidence.of(sample).texts] == [OUTLINE]
    assert [(reject.where.rpartition("/")[2], reject.reason) for reject in rejects] == [
        ("Label.txt:1.texts[1]", "unreadable-text"),
        ("Label.txt:2", "bad-row"),
        ("Label.txt:3", "bad-json"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("x.tsv", "level\tpage_num\tblock_num\n1\t1\t0\n", ["TSV of Tesseract", '"texts"']),
        ("x.hocr", "<html><div class='ocr_page'></div></html>", ["hOCR"]),
        ("x.xml", "<annotation><filename>a.jpg</filename></annotation>", ["Pascal VOC", "grounding"]),
        ("x.csv", "ImageID,Source,LabelName\n1,x,y\n", ["OpenImages", "COCO JSON"]),
        ("x.txt", "Car 0.00 0 -1.57 1 2 3 4 1.5 1.6 3.9 -3.0 1.65 14.0 -1.57\n", ["KITTI", "spatial"]),
        ("x.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n", ["table of boxes", "COCO JSON"]),
        ("x.txt", "38,43,358,43,358,79,38,79,TOTAL\n", ["SROIE", '"quad"']),
        ("x.json", '{"a.png": {"img_dimensions": [1, 2], "polygons": []}}', ["docTR"]),
        ("x.jsonl", '{"id": 1, "words": ["a"], "bboxes": [[1, 2, 3, 4]]}\n', ["LayoutLM", "1000"]),
        ("x.jsonl", '{"image": "a.png", "ground_truth": "{}"}\n', ["CORD"]),
        ("x.json", '{"form": []}', ["FUNSD"]),
        ("x.json", '{"valid_line": []}', ["CORD"]),
        ("x.json", '{"pages": []}', ["docTR"]),
        ("x.json", '{"shapes": [], "imagePath": "a.jpg"}', ["labelme", "COCO JSON"]),
        (
            "x.json",
            '[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]',
            ["COCO results"],
        ),
        ("x.jsonl", '{"conversations": [], "image": "a.png"}\n', ["source 'llava'"]),
    ],
)
def test_what_another_tool_wrote_is_named(tmp_path, name, text, parts):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as error:
        list(open_evidence(tmp_path / name))
    assert all(part in str(error.value) for part in parts), error.value


def test_a_folder_with_a_label_file_of_paddleocr_is_read(folder):
    (folder / "Label.txt").write_text(f"a.png\t{json.dumps([{'transcription': 'ABC', 'points': QUAD}])}\n")
    (folder / "notes.txt").write_text("nothing")
    (sample,) = open_evidence(folder)
    assert Evidence.of(sample).texts[0].text == "ABC"


def test_one_file_in_no_known_form_does_not_stop_the_folder(folder):
    row(folder, {"text": "ok", "box": [1, 1, 20, 20]})
    (folder / "log.json").write_text('{"time": 1}')
    reject, sample = open_evidence(folder)
    assert isinstance(sample, Sample) and reject.reason == "unknown-form" and "log.json" in reject.where


def test_rows_of_a_json_object_are_read_as_one_row_or_under_data(folder):
    fields = {"image": "a.png", "question": "What?", "answer": "A cat."}
    for content, where in (
        (fields, "x.json"),
        ({"version": 1, "data": [fields, 3]}, "x.json: data[1]"),
    ):
        (folder / "x.json").write_text(json.dumps(content, indent=1))
        items = list(open_evidence(folder / "x.json"))
        assert isinstance(items[0], Sample)
        assert all(item.where.endswith(where) for item in items[1:])
