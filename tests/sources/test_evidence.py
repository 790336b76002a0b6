"""Users' own data as evidence: every form is recognized, no coordinate is guessed, losses are reported."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vila2
from vila2.data.evidence import Box3D, Camera, Evidence
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import Reject, write_dataset
from vila2.errors import DataError
from vila2.sources import open_source
from vila2.sources.evidence import open_evidence


@pytest.fixture
def images(tmp_path) -> Path:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 20), (ord(name[0]), 0, 0)).save(tmp_path / name)
    return tmp_path


def write(folder: Path, content, name: str) -> Path:
    path = folder / name
    if name.endswith("l"):
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    else:
        path.write_text(json.dumps(content))
    return path


def split(rows) -> tuple[list[Sample], list[Reject]]:
    rows = list(rows)
    return [r for r in rows if isinstance(r, Sample)], [r for r in rows if isinstance(r, Reject)]


COCO = {
    "images": [
        {"id": 5, "file_name": "a.png", "width": 40, "height": 20},
        {"id": 6, "file_name": "b.png", "width": 40, "height": 20},
        {"id": 7, "file_name": "lost.png", "width": 40, "height": 20},
    ],
    "categories": [{"id": 1, "name": "Dog"}, {"id": 2, "name": "person"}],
    "annotations": [
        {"image_id": 5, "category_id": 1, "bbox": [10, 5, 20, 10], "iscrowd": 0},
        {"image_id": 5, "category_id": 2, "bbox": [0, 0, 40, 20], "iscrowd": 1},
        {"image_id": 5, "category_id": 1, "bbox": [30, 5, 20, 10]},
        {"image_id": 5, "category_id": 1, "bbox": [10, 5, 0, 10]},
    ],
}


def test_coco_boxes_become_unit_boxes_and_what_is_left_out_is_said(images):
    samples, rejects = split(open_evidence(write(images, COCO, "coco.json")))
    first, second = (Evidence.of(sample) for sample in samples)
    assert [thing.box for thing in first.objects] == [(0.25, 0.25, 0.75, 0.75), (0.75, 0.25, 1.0, 0.75)]
    assert first.labels == ("dog",), "not every person of a crowd has a box: nobody may count persons here"
    assert second.objects == () and second.all_objects and second.labels == ("dog", "person")
    assert [reject.reason for reject in rejects] == ["crowd", "bad-box", "unreadable-file"]
    assert rejects[1].where.endswith("coco.json: annotations[3]")
    assert samples[0].key == "a" and samples[0].meta["image"] == "a.png"
    assert samples[0].turns == (user(ImagePart()),)


def test_lvis_says_of_each_image_which_categories_were_looked_for(images):
    data = json.loads(json.dumps(COCO))
    data["images"] = [data["images"][1] | {"neg_category_ids": [1], "not_exhaustive_category_ids": [2]}]
    data["annotations"] = [{"image_id": 6, "category_id": 2, "bbox": [0, 0, 4, 4]}]
    (sample,), _ = split(open_evidence(write(images, data, "lvis.json")))
    assert Evidence.of(sample).labels == ("dog",)


def test_texts_with_boxes_quads_and_points(images):
    texts = [
        {"text": "EXIT", "box": [4, 2, 20, 10], "kind": "word"},
        {"text": "slanted", "quad": [0, 0, 40, 5, 40, 10, 0, 5]},
        {"text": "round", "points": [[0, 0], [20, 0], [40, 10], [20, 20], [0, 10]]},
    ]
    rows = [{"id": 9, "image": "a.png", "texts": texts, "fields": {"total": "9.00"}}]
    (sample,), rejects = split(open_evidence(write(images, rows, "t.jsonl")))
    evidence = Evidence.of(sample)
    assert not rejects and evidence.all_texts and evidence.fields == {"total": "9.00"}
    assert evidence.texts[0].outline == ((0.1, 0.1), (0.5, 0.1), (0.5, 0.5), (0.1, 0.5))
    assert evidence.texts[1].outline == ((0.0, 0.0), (1.0, 0.25), (1.0, 0.5), (0.0, 0.25))
    assert len(evidence.texts[2].outline) == 5 and sample.key == "9"


def test_a_text_that_cannot_be_read_is_counted_and_ends_the_claim_to_be_complete(images):
    texts = [
        {"text": "###", "box": [0, 0, 9, 9]},
        {"text": "ok", "box": [0, 0, 9, 9]},
        {"text": "x", "box": [9, 9]},
    ]
    (sample,), rejects = split(open_evidence(write(images, [{"image": "a.png", "texts": texts}], "t.json")))
    assert [(r.reason, r.where.rpartition(".")[2]) for r in rejects] == [
        ("unreadable-text", "texts[0]"),
        ("bad-box", "texts[2]"),
    ]
    evidence = Evidence.of(sample)
    assert [text.text for text in evidence.texts] == ["ok"] and not evidence.all_texts


def test_the_scale_is_said_not_guessed(images):
    row = {"image": "a.png", "scale": "unit", "texts": [{"text": "a", "box": [0, 0, 0.5, 0.5]}]}
    (sample,), _ = split(open_evidence(write(images, [row], "t.jsonl")))
    assert Evidence.of(sample).texts[0].outline[2] == (0.5, 0.5)
    _, (reject,) = split(open_evidence(write(images, [row | {"scale": "percent"}], "t.jsonl")))
    assert reject.reason == "bad-row" and "percent" in reject.detail


def test_questions_stay_exchanges_and_share_their_image(images):
    rows = [
        {"image": "a.png", "question": "What is it?", "answer": "A dog.", "kind": "object"},
        {"image": "a.png", "question": "How many?", "answer": 3},
        {"image": "a.png", "question": "Why?", "answer": ""},
    ]
    samples, (reject,) = split(open_evidence(write(images, rows, "qa.jsonl")))
    assert samples[0].turns == (user(ImagePart(), "What is it?"), assistant("A dog."))
    assert samples[1].turns[1] == assistant("3") and samples[0].meta["kind"] == "object"
    assert samples[0].key != samples[1].key and samples[0].meta["image"] == samples[1].meta["image"]
    assert reject.reason == "missing-text" and Evidence.of(samples[0]) is None


def test_an_image_turned_against_its_coordinates_is_refused(images):
    rows = [{"image": "a.png", "width": 20, "height": 40, "texts": []}]
    _, (reject,) = split(open_evidence(write(images, rows, "t.jsonl")))
    assert reject.reason == "rotated-image" and "40x20" in reject.detail and "20" in reject.detail


def test_annotations_of_a_larger_image_still_fit_a_smaller_copy(images):
    rows = [
        {"image": "a.png", "width": 400, "height": 200, "texts": [{"text": "a", "box": [0, 0, 100, 100]}]}
    ]
    (sample,), _ = split(open_evidence(write(images, rows, "t.jsonl")))
    assert Evidence.of(sample).texts[0].outline[2] == (0.25, 0.5)


def test_a_dataset_of_the_world_is_evidence_as_it_is_and_its_own_rows_come_back(tmp_path):
    write_dataset(tmp_path / "world", open_source("world", split="specialist", count=3), name="world")
    samples, _ = split(vila2.open_evidence(tmp_path / "world"))
    assert len(samples) == 3 and all(Evidence.of(sample).objects for sample in samples)
    data = samples[0].images[0]
    name = f"x.{Image.open(io.BytesIO(data)).format.lower()}"
    (tmp_path / name).write_bytes(data)
    row = {"image": name} | Evidence.of(samples[0]).to_meta()
    (again,), _ = split(open_evidence(write(tmp_path, [row], "own.jsonl")))
    assert Evidence.of(again) == Evidence.of(samples[0])


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        (
            "x.jsonl",
            [{"picture": "a.png", "caption": "dog"}],
            ["picture, caption", "COCO", "'question' and 'answer'"],
        ),
        ("x.json", {"info": {}, "licenses": []}, ["info, licenses", "COCO"]),
        ("x.jsonl", [], ["no rows"]),
        ("gone", None, ["no such file"]),
    ],
)
def test_an_unknown_form_names_what_was_found_and_what_is_known(tmp_path, name, content, names):
    path = write(tmp_path, content, name) if content is not None else tmp_path / name
    with pytest.raises(DataError) as error:
        open_evidence(path)
    assert all(part in str(error.value) for part in names)


def real(name: str) -> Path:
    root = Path(os.environ.get("VILA2_REALDATA", Path(__file__).parents[3] / "shared" / "realdata"))
    if not (root / name).exists():
        pytest.skip(f"no {name} in VILA2_REALDATA")
    return root / name


def projected(solid: Box3D, camera: Camera) -> tuple[float, float, float, float] | None:
    length, height, width = solid.dimensions[2], solid.dimensions[1], solid.dimensions[0]
    local = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
    corners = local * (length, height, width) @ np.array(solid.rotation).T + np.array(solid.centre)
    if corners[:, 2].min() < 0.2:
        return None
    pixels = corners @ np.array(camera.K).T
    u, v = pixels[:, 0] / pixels[:, 2] / camera.width, pixels[:, 1] / pixels[:, 2] / camera.height
    return (*np.clip((u.min(), v.min()), 0, 1), *np.clip((u.max(), v.max()), 0, 1))


def overlap(a, b) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0, width) * max(0, height)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def test_real_3d_boxes_project_onto_the_boxes_that_people_drew():
    samples, rejects = split(open_evidence(real("scenes3d/scenes3d.jsonl")))
    assert len(samples) == 59 and not rejects
    overlaps = {}
    for sample in samples:
        evidence = Evidence.of(sample)
        for thing in evidence.objects:
            box = projected(thing.solid, evidence.camera)
            if box is not None:
                overlaps.setdefault(sample.meta["dataset"], []).append(overlap(box, thing.box))
    assert np.mean(overlaps["kitti_object"]) > 0.95 and np.mean(overlaps["nuscenes"]) > 0.9


def test_real_receipts_and_real_photographs_lose_nothing_unsaid():
    lines = [json.loads(line) for line in real("sroie100/sroie100.jsonl").open()]
    samples, rejects = split(open_evidence(real("sroie100/sroie100.jsonl")))
    texts = sum(len(Evidence.of(sample).texts) for sample in samples)
    assert len(samples) == 100 and texts + len(rejects) == sum(len(row["lines"]) for row in lines)
    assert all(set(Evidence.of(s).fields) == {"company", "date", "address", "total"} for s in samples)
    voc = real("pascal_voc100")
    photos, _ = split(open_evidence(voc / "coco_format" / "instances_v2.json", voc / "JPEGImages"))
    assert len(photos) == 100 and sum(len(Evidence.of(photo).objects) for photo in photos) == 273


def test_annotated_images_are_a_source_with_a_slice(images):
    path = write(images, COCO, "boxes.json")
    samples, rejects = split(open_source("evidence", path=path))
    assert samples == split(open_evidence(path))[0]
    assert rejects == split(open_evidence(path))[1]
    assert [sample.key for sample in split(open_source("evidence", path=path, start=1, count=5))[0]] == ["b"]
    assert [sample.key for sample in split(open_source("evidence", path=path, count=1))[0]] == ["a"]
    with pytest.raises(DataError, match=">= 0"):
        list(open_source("evidence", path=path, start=-1))
