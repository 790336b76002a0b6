"""3D data of other tools, cut or odd.

A bad frame is a reject that names file and line, and the other frames are built.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from spatial_pictures import picture
from vila2.data.evidence import Evidence
from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.errors import DataError

from vila2_spatial.__main__ import main
from vila2_spatial.builder import SpatialBuilder, SpatialConfig
from vila2_spatial.readers import open_scenes

CAR = "Car 0.00 0 -1.57 100 180.00 200 260.00 1.50 1.60 3.90 -3.0 1.65 14.0 -1.57"
WALKER = "Pedestrian 0.00 0 0.2 400.00 150.00 440.00 280.00 1.75 0.60 0.80 2.00 1.65 11.0 0.1"
CALIBRATION = "P1: 1 2 3\nP2: 700 0 320 0 0 700 180 0 0 0 1 0\ncalib_time: 09-Jan\n"
IMAGE = picture(640, 360, "PNG")


def kitti(root: Path, labels: str | bytes = "", calibration: str | None = CALIBRATION) -> Path:
    """A good frame 000000, and 000001 as given."""
    for name in ("label_2", "calib", "image_2"):
        (root / name).mkdir(parents=True, exist_ok=True)
    labels = labels.encode() if isinstance(labels, str) else labels
    frames = (("000000", f"{CAR}\n{WALKER}\n".encode(), CALIBRATION), ("000001", labels, calibration))
    for key, label, calib in frames:
        (root / "label_2" / f"{key}.txt").write_bytes(label)
        (root / "image_2" / f"{key}.png").write_bytes(IMAGE)
        if calib is not None:
            (root / "calib" / f"{key}.txt").write_text(calib)
    return root


@pytest.mark.parametrize(
    ("labels", "calibration", "where", "reason", "detail"),
    [
        (CAR, CALIBRATION.replace("P2:", "P2_rect:"), "calib/000001.txt", "no-calibration", "P2_rect"),
        (
            CAR,
            CALIBRATION.replace(" 0 0 0 1 0\n", "\n"),
            "calib/000001.txt:2",
            "bad-calibration",
            "7 numbers",
        ),
        (CAR, CALIBRATION.replace("700", "x"), "calib/000001.txt:2", "bad-number", "'x'"),
        (CAR, CALIBRATION.replace("700", "0"), "calib/000001.txt", "bad-camera", "focal"),
        (CAR, None, "calib/000001.txt", "no-calibration", "no such file"),
        (
            "Car 0 0 0 1 1 99 99 0 0 0 0 0 0 0",
            CALIBRATION,
            "label_2/000001.txt:1",
            "no-3d-box",
            "in the image only",
        ),
        (
            "Car -1 -1 -10 1 1 99 99 -1 -1 -1 -1000 -1000 -1000 -10",
            CALIBRATION,
            "000001.txt:1",
            "no-3d-box",
            "",
        ),
        (f"{WALKER}\n0 2 {CAR}", CALIBRATION, "label_2/000001.txt:2", "bad-label", "tracking"),
        (
            CAR.replace("Car", "Person sitting"),
            CALIBRATION,
            "label_2/000001.txt:1",
            "bad-label",
            "Person_sitting",
        ),
        (CAR.replace("14.0", "nan"), CALIBRATION, "label_2/000001.txt:1", "bad-number", "no finite number"),
        (CAR.replace("1.50", "1,50"), CALIBRATION, "label_2/000001.txt:1", "bad-number", "write a point"),
        (CAR.replace(" 14.0", ""), CALIBRATION, "label_2/000001.txt:1", "bad-label", "14 fields"),
        (
            f"\n{CAR}\nFußgänger {CAR[4:]}".encode("latin-1"),
            CALIBRATION,
            "000001.txt:3",
            "bad-encoding",
            "0xdf",
        ),
    ],
)
def test_a_kitti_frame_of_another_tool_is_refused_by_file_and_line(
    tmp_path, labels, calibration, where, reason, detail
):
    good, reject = open_scenes(kitti(tmp_path, labels, calibration)).scenes("00000")
    assert isinstance(good, Sample) and len(Evidence.of(good).objects) == 2
    assert (reject.key, reject.reason) == ("000001", reason)
    assert reject.where.endswith(where) and detail in reject.detail


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    _, scene = open_scenes(kitti(tmp_path, f"\ufeff{CAR}\r\n{WALKER}")).scenes("00000")
    assert [one.label for one in Evidence.of(scene).objects] == ["car", "pedestrian"]


def test_a_solid_that_is_not_known_leaves_the_box_of_its_object(tmp_path):
    flat = "Car 0 0 0 300 100 399 199 0 0 0 0 0 0 0"
    _, scene = open_scenes(kitti(tmp_path, f"{CAR}\n{flat}")).scenes("00000")
    one, other = Evidence.of(scene).objects
    assert one.solid is not None and other.solid is None and other.box is not None


def test_labels_without_any_calibration_are_an_error(tmp_path):
    (tmp_path / "label_2").mkdir()
    with pytest.raises(DataError, match="calib: no such folder"):
        open_scenes(tmp_path).pieces()


def test_the_command_says_what_was_refused_and_where(tmp_path, capsys):
    assert main([str(kitti(tmp_path, "broken"))]) == 0
    said = capsys.readouterr().out
    assert "samples: 2" in said and "000001.txt:1: bad-label: 1 fields instead of 15" in said
    for arguments in (
        [str(tmp_path), "drws=3"],
        [str(tmp_path), "draws"],
        [str(tmp_path), "draws=x"],
        ["/nowhere"],
    ):
        assert main(arguments) == 1
        assert "hint:" in capsys.readouterr().err


def test_images_may_lie_in_a_folder_of_their_own(tmp_path):
    root = kitti(tmp_path / "labels", f"{CAR}\n{WALKER}")
    (root / "image_2").rename(tmp_path / "images")
    built = SpatialBuilder(SpatialConfig(data=root, image_root=tmp_path / "images", mirror="none"))
    assert [sample.key for sample in built.build("00000")] == ["000000", "000001"]
    with pytest.raises(DataError, match=r"image_root: .*nowhere is not a folder"):
        SpatialBuilder(SpatialConfig(data=root, image_root=tmp_path / "nowhere")).shards()


def test_rows_take_their_images_from_image_root_too(tmp_path):
    thing = {"category": "car", "center_cam": [0, 0, 9], "dimensions": [2, 2, 4], "R_cam": np.eye(3).tolist()}
    row = {"image": "a.png", "K": [[700, 0, 320], [0, 700, 180], [0, 0, 1]], "boxes": [thing]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.png").write_bytes(IMAGE)
    config = SpatialConfig(data=tmp_path / "rows.jsonl", image_root=tmp_path / "elsewhere")
    assert all(isinstance(scene, Sample) for scene in SpatialBuilder(config).reader.scenes("all"))
    with pytest.raises(DataError, match="image_root has no use"):
        open_scenes(omni3d(tmp_path / "o", {}), "objectron", tmp_path)


SOLID = {
    "image_id": 1,
    "category_id": 1,
    "category_name": "car",
    "center_cam": [0, 0, 9],
    "dimensions": [2, 2, 4],
    "R_cam": np.eye(3).tolist(),
}


def omni3d(root: Path, changes: dict, *annotations: object, **document: object) -> Path:
    """Images 1 (changed) and 2 with a solid each, and more annotations."""
    root.mkdir(exist_ok=True)
    (root / "a.png").write_bytes(IMAGE)
    image = {
        "file_path": "a.png",
        "width": 640,
        "height": 360,
        "K": [[700, 0, 320], [0, 700, 180], [0, 0, 1]],
    }
    content = {
        "images": [image | {"id": 1} | changes, image | {"id": 2}],
        "annotations": [SOLID | {"image_id": 2}, *annotations],
        "categories": [{"id": 1, "name": "car"}],
    }
    (root / "KITTI_train.json").write_text(json.dumps(content | document))
    return root


@pytest.mark.parametrize(
    ("changes", "annotation", "where", "reason"),
    [
        ({"K": [[700, 0, 320]]}, SOLID, "images[0]", "bad-number"),
        ({"K": None}, SOLID, "images[0]", "bad-number"),
        ({"file_path": None}, SOLID, "images[0]", "bad-annotation"),
        ({"width": 64}, SOLID, "images[0]", "wrong-size"),
        ({}, SOLID | {"center_cam": [0, 0]}, "annotations[1]", "bad-number"),
        ({}, SOLID | {"center_cam": [0, 0, float("nan")]}, "annotations[1]", "bad-number"),
        ({}, SOLID | {"R_cam": "eye"}, "annotations[1]", "bad-number"),
        ({}, SOLID | {"category_name": None}, "annotations[1]", "unknown-category"),
        ({}, SOLID | {"dimensions": None}, "annotations[1]", "bad-number"),
    ],
)
def test_an_odd_omni3d_image_is_refused_by_its_number(tmp_path, changes, annotation, where, reason):
    reject, good = open_scenes(omni3d(tmp_path, changes, annotation)).scenes("00000")
    assert isinstance(good, Sample)
    assert reject.reason == reason and reject.where.endswith(f"KITTI_train.json: {where}")


def test_omni3d_annotations_of_no_image_are_said(tmp_path):
    lost, none, *scenes = open_scenes(omni3d(tmp_path, {}, None, SOLID | {"image_id": 7})).scenes("00000")
    assert {(lost.reason, lost.where[-14:]), (none.reason, none.where[-14:])} == {
        ("bad-annotation", "annotations[1]"),
        ("unknown-image", "annotations[2]"),
    }
    assert len(scenes) == 2


def test_omni3d_marks_for_what_is_unknown(tmp_path):
    marks = (
        {"depth_error": 0.9},
        {"valid3D": False, "center_cam": [-1] * 3, "R_cam": [[-1] * 3] * 3},
        {"visibility": -1},
    )
    scenes = open_scenes(omni3d(tmp_path, {}, *(SOLID | mark for mark in marks))).scenes("00000")
    objects = Evidence.of(next(scenes)).objects
    assert [one.solid is None for one in objects] == [True, True, False] and objects[2].visibility is None


def test_omni3d_ids_that_stand_twice_are_an_error(tmp_path):
    with pytest.raises(DataError, match=r"images\[1\] has the id 2, which .*images\[0\] has as well"):
        open_scenes(omni3d(tmp_path, {"id": 2})).pieces()
    twice = [{"id": 1, "name": "car"}, {"id": 1, "name": "cat"}]
    with pytest.raises(DataError, match=r"categories\[1\] has the id of another one, 1"):
        open_scenes(omni3d(tmp_path, {}, categories=twice)).pieces()


def nuscenes(root: Path, version: str, **changes: dict) -> Path:
    """Tables of one key frame with one label."""
    frame = {"translation": [0, 0, 0], "rotation": [1, 0, 0, 0]}
    tables: dict[str, dict] = {
        "sensor": {"modality": "camera"},
        "calibrated_sensor": frame | {"sensor_token": "sensor",
                                      "camera_intrinsic": [[700, 0, 320], [0, 700, 180], [0, 0, 1]]},
        "ego_pose": frame,
        "category": {"name": "vehicle.car"},
        "instance": {"category_token": "category"},
        "sample_annotation": frame | {"sample_token": "s", "instance_token": "instance", "size": [2, 4, 2],
                                      "translation": [0, 0, 9]},
        "sample_data": {"sample_token": "s", "calibrated_sensor_token": "calibrated_sensor",
                        "ego_pose_token": "ego_pose", "is_key_frame": True,
                        "filename": "samples/CAM_FRONT/a.png"},
    }  # fmt: skip
    (root / version).mkdir(parents=True)
    for name, row in tables.items():
        (root / version / f"{name}.json").write_text(
            json.dumps([{"token": name} | row | changes.get(name, {})])
        )
    (root / "samples" / "CAM_FRONT").mkdir(parents=True, exist_ok=True)
    (root / "samples" / "CAM_FRONT" / "a.png").write_bytes(IMAGE)
    return root


def test_two_versions_of_nuscenes_are_a_choice(tmp_path):
    nuscenes(tmp_path, "v1.0-mini")
    root = nuscenes(tmp_path, "v1.0-trainval")
    with pytest.raises(DataError, match=r"v1.0-mini and v1.0-trainval(.|\n)*--data .*v1.0-mini"):
        open_scenes(root).pieces()
    (scene,) = open_scenes(root / "v1.0-mini").scenes("00000")
    assert [one.label for one in Evidence.of(scene).objects] == ["car"]


@pytest.mark.parametrize(
    ("changes", "where", "reason"),
    [
        ({"ego_pose": {"token": "other"}}, "sample_data.json: samples/CAM_FRONT/a.png", "no-pose"),
        (
            {"calibrated_sensor": {"camera_intrinsic": []}},
            "calibrated_sensor.json: calibrated_sensor",
            "bad-number",
        ),
        ({"sample_annotation": {"size": None}}, "sample_annotation.json: sample_annotation", "bad-number"),
        (
            {"sample_annotation": {"rotation": [0, 0, 0, 0]}},
            "sample_annotation.json: sample_annotation",
            "bad-number",
        ),
        ({"category": {"token": "other"}}, "sample_annotation.json: sample_annotation", "unknown-category"),
    ],
)
def test_nuscenes_rows_that_do_not_fit_refuse_their_frame(tmp_path, changes, where, reason):
    (reject,) = open_scenes(nuscenes(tmp_path, "v1.0-mini", **changes)).scenes("00000")
    assert reject.reason == reason and reject.where.endswith(where)


def test_a_table_of_nuscenes_that_is_cut_is_an_error(tmp_path):
    root = nuscenes(tmp_path, "v1.0-mini")
    (root / "v1.0-mini" / "ego_pose.json").write_text("[{")
    with pytest.raises(DataError, match=r"ego_pose.json: cannot be read"):
        open_scenes(root).pieces()


@pytest.mark.parametrize(
    ("label", "calib", "where"),
    [
        ("chair 1 2 3", "1 0 0 0 1 0 0 0 1\n500 0 0 0 500 0 320 180 1", "label/000001.txt:1"),
        (
            "chair 1 2 3 4 5 6 7 8 9 x 1 2",
            "1 0 0 0 1 0 0 0 1\n500 0 0 0 500 0 320 180 1",
            "label/000001.txt:1",
        ),
        ("", "1 0 0\n1 2 3", "calib/000001.txt:1"),
        ("", "1 0 0 0 1 0 0 0 1", "calib/000001.txt"),
    ],
)
def test_an_odd_sunrgbd_frame_is_refused(tmp_path, label, calib, where):
    for folder, content in (("label", label), ("calib", calib)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "000001.txt").write_text(content)
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "000001.jpg").write_bytes(picture(640, 360))
    (reject,) = open_scenes(tmp_path).scenes("00000")
    assert isinstance(reject, Reject) and reject.where.endswith(where)


def test_a_turned_photo_is_refused_where_its_camera_is_not_turned(tmp_path):
    from PIL import Image

    root = kitti(tmp_path, CAR)
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (360, 640)).save(root / "image_2" / "000001.png", exif=exif)
    _, reject = open_scenes(root).scenes("00000")
    assert reject.reason == "rotated-image" and "EXIF orientation 6" in reject.detail


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_random_edits_of_kitti_text_give_scenes_or_rejects(tmp_path, data):
    texts = {"label_2": f"{CAR}\n{WALKER}\n", "calib": CALIBRATION}
    for name in texts:
        text = bytearray(texts[name].encode())
        for _ in range(data.draw(st.integers(0, 4))):
            place = data.draw(st.integers(0, len(text)))
            text[place : place + data.draw(st.integers(0, 12))] = data.draw(
                st.sampled_from(
                    [b"", b" ", b"\n", b"nan", b"-", b"1e999", b"\xff", b"\0", b",", b"9" * 400, b"Car"]
                )
            )
        texts[name] = bytes(text)
    root = kitti(tmp_path)
    for name, text in texts.items():
        (root / name / "000001.txt").write_bytes(text)
    items = list(SpatialBuilder(SpatialConfig(data=root, mirror="none")).build("00000"))
    assert items[0].key == "000000" and {item.key for item in items} == {"000000", "000001"}
    assert all(item.where and item.reason for item in items if isinstance(item, Reject))
