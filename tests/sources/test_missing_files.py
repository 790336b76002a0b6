"""Missing files and folders are named at once, the path first; pipes in their place are never waited for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from vila2.data.evidence import Evidence
from vila2.data.rejects import Reject
from vila2.data.sample import Sample
from vila2.errors import DataError
from vila2.sources import open_source

WITH_IMAGES = ["captions", "evidence", "llava", "mmc4"]


@pytest.mark.parametrize("source", WITH_IMAGES)
def test_a_missing_path_is_named_before_a_missing_folder_of_images(tmp_path: Path, source: str) -> None:
    rows, images = tmp_path / "rows.jsonl", tmp_path / "images"
    with pytest.raises(DataError) as both:
        next(open_source(source, path=rows, image_root=images))
    assert both.value.what.startswith(f"{rows}: no such file or folder; image_root: {images}")
    rows.write_text("{}\n")
    with pytest.raises(DataError, match=r"^image_root: \S+images"):
        next(open_source(source, path=rows, image_root=images))


def test_a_local_dataset_is_named_before_a_missing_folder_of_images(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"gone: no such file or folder; image_root: \S+images is not a folder"
    ):
        next(open_source("huggingface", path=tmp_path / "gone", image_root=tmp_path / "images"))


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("captions", {"caption": "A pipe."}),
        (
            "llava",
            {"conversations": [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "A pipe."}]},
        ),
        ("evidence", {"question": "What is it?", "answer": "A pipe."}),
    ],
)
def test_a_pipe_in_place_of_an_image_is_a_reject(
    tmp_path: Path, source: str, fields: dict[str, object]
) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    (tmp_path / "rows.jsonl").write_text(json.dumps({"image": "a.jpg", **fields}) + "\n")
    (found,) = open_source(source, path=tmp_path / "rows.jsonl")
    assert isinstance(found, Reject)
    assert found.reason == "unreadable-file"


def test_a_folder_of_evidence_leaves_out_pipes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "labels.txt")
    os.mkfifo(tmp_path / "rows.json")
    with pytest.raises(DataError, match="neither a dataset nor a folder with"):
        next(open_source("evidence", path=tmp_path))


def test_samples_of_evidence_tell_their_place(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    coco = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [2, 2, 10, 5]}],
        "categories": [{"id": 1, "name": "dog"}],
    }
    rows = [
        {"image": "a.png", "question": "What?", "answer": "A dog."},
        {"image": "a.png", "texts": [{"text": "STOP", "box": [2, 2, 10, 5]}]},
        {"image": "a.png", "evidence": Evidence(labels=("dog",)).to_meta()["evidence"]},
    ]
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = [*open_source("evidence", path=tmp_path / "coco.json")]
    found += open_source("evidence", path=tmp_path / "rows.jsonl")
    places = [Path(one.where).name for one in found if isinstance(one, Sample)]
    assert places == ["coco.json: images[0]", "rows.jsonl:1", "rows.jsonl:2", "rows.jsonl:3"]
