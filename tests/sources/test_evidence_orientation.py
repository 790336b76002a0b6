"""Pictures with an EXIF orientation: coordinates refer to the stored or the displayed image."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vila2.data.evidence import Evidence
from vila2.data.images import decode_image
from vila2.data.shards import Reject
from vila2.sources.evidence import open_evidence

#: White marks the thing: a box of the stored image, in pixels.
STORED, BOX = (64, 32), (8, 4, 40, 12)


def turned(folder: Path, orientation: int, size: tuple[int, int] = STORED) -> None:
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(folder / "a.png", exif=exif)


def row(folder: Path, box: tuple[int, ...] = BOX, **fields):
    path = folder / "rows.jsonl"
    path.write_text(json.dumps({"image": "a.png", "texts": [{"text": "x", "box": list(box)}], **fields}))
    return next(iter(open_evidence(path)))


def shown_box(sample) -> tuple[float, ...]:
    """Where the white is in the image that the model will see."""
    pixels = np.asarray(decode_image(sample.images[0], where="a"))[..., 0] > 128
    rows, columns = np.nonzero(pixels.any(1))[0], np.nonzero(pixels.any(0))[0]
    height, width = pixels.shape
    return (columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_size_as_stored_turns_the_boxes_with_the_picture(tmp_path, orientation):
    turned(tmp_path, orientation)
    sample = row(tmp_path, width=STORED[0], height=STORED[1])
    outline = Evidence.of(sample).texts[0].outline
    assert (*outline[0], *outline[2]) == shown_box(sample)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_size_as_shown_leaves_the_boxes_as_they_are(tmp_path, orientation):
    turned(tmp_path, orientation)
    sample = row(tmp_path, width=2 * STORED[1], height=2 * STORED[0])  # of an image twice as large
    assert Evidence.of(sample).texts[0].outline[2] == (BOX[2] / 64, BOX[3] / 128)


def test_without_a_size_the_side_that_boxes_reach_beyond_tells(tmp_path):
    turned(tmp_path, 6)
    sample = row(tmp_path)  # 40 pixels to the right are in the stored image only
    outline = Evidence.of(sample).texts[0].outline
    assert (*outline[0], *outline[2]) == shown_box(sample)
    tall = Evidence.of(row(tmp_path, box=(8, 4, 16, 60))).texts[0].outline
    assert tall[2] == (16 / 32, 60 / 64)


@pytest.mark.parametrize(
    ("orientation", "size", "box", "fields"),
    [
        (6, STORED, (8, 4, 16, 12), {}),
        (6, (48, 48), BOX, {"width": 48, "height": 48}),
        (6, STORED, BOX, {"width": 50, "height": 50}),
        (3, STORED, BOX, {"width": 64, "height": 32}),
        (2, STORED, BOX, {}),
    ],
)
def test_where_nothing_tells_the_row_is_refused_with_the_reason(tmp_path, orientation, size, box, fields):
    turned(tmp_path, orientation, size)
    reject = row(tmp_path, box=box, **fields)
    assert isinstance(reject, Reject) and reject.reason == "rotated-image"
    assert f"EXIF orientation {orientation}" in reject.detail and "a.png" in reject.detail


def test_rows_without_pixels_are_read_as_the_picture_is_shown(tmp_path):
    turned(tmp_path, 3)
    (tmp_path / "rows.jsonl").write_text(json.dumps({"image": "a.png", "question": "What?", "answer": "It."}))
    sample = next(iter(open_evidence(tmp_path / "rows.jsonl")))
    assert not isinstance(sample, Reject)
    assert Image.open(io.BytesIO(sample.images[0])).size == STORED


def test_a_camera_before_the_turn_is_refused(tmp_path):
    turned(tmp_path, 6)
    thing = {"category": "cup", "center_cam": [0, 0, 2], "dimensions": [1, 1, 1], "R_cam": np.eye(3).tolist()}
    fields = {
        "image": "a.png",
        "width": 64,
        "height": 32,
        "K": [[50, 0, 32], [0, 50, 16], [0, 0, 1]],
        "boxes": [thing],
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(fields))
    reject = next(iter(open_evidence(tmp_path / "rows.jsonl")))
    assert isinstance(reject, Reject) and reject.reason == "rotated-image" and "K" in reject.detail
