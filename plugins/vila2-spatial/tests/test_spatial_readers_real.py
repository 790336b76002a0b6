"""KITTI as it is, and native layouts of other data sets made from real boxes.

Both must give the same boxes in one frame.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from spatial_pictures import picture
from vila2.data.boxes import iou
from vila2.data.evidence import Evidence
from vila2.data.sample import Sample
from vila2.data.shards import Reject

from vila2_spatial.geometry import corners, projected_box
from vila2_spatial.readers import open_scenes
from vila2_spatial.readers.frames import FROM_UPRIGHT, box3d, rotation_about
from vila2_spatial.readers.kitti import KittiObject
from vila2_spatial.readers.kitti_raw import KittiRaw
from vila2_spatial.readers.nuscenes import NuScenes
from vila2_spatial.readers.omni3d import Omni3D
from vila2_spatial.readers.sunrgbd import SunRgbd


def solids(row: dict) -> list:
    return [box3d(one["center_cam"], one["dimensions"], one["R_cam"]) for one in row["boxes"]]


def same(one, other, within: float) -> bool:
    """Whether two solids fill the same space: their corners as sets."""
    gaps = np.linalg.norm(corners(one)[:, None] - corners(other)[None], axis=2)
    return gaps.min(axis=1).max() < within


def test_kitti_object(kitti, rows):
    reader = open_scenes(kitti)
    assert isinstance(reader, KittiObject)
    scenes = list(reader.scenes("00000"))
    assert len(scenes) == 13
    for scene in scenes:
        evidence, row = Evidence.of(scene), rows[f"kitti_object_{scene.key}"]
        labelled = [one for one in evidence.objects if one.solid]
        assert [one.label for one in labelled] == [one["category"].lower() for one in row["boxes"]]
        assert all(same(a.solid, b, 0.02) for a, b in zip(labelled, solids(row), strict=True))
        assert np.allclose(evidence.camera.K, row["K"], atol=1e-3)


def test_kittis_unlabelled_regions_stay_in_the_evidence(kitti):
    evidence = Evidence.of(KittiObject(kitti).scene("000001"))
    assert [one.label for one in evidence.objects if one.solid is None] == ["unlabelled"] * 4


def test_a_kitti_frame_without_its_image_is_rejected(real):
    scenes = list(open_scenes(real / "kitti_object_format").scenes("00000"))
    assert sum(isinstance(scene, Sample) for scene in scenes) == 4
    assert {scene.reason for scene in scenes if isinstance(scene, Reject)} == {"no-image"}


def test_kitti_raw_tracklets(real, rows, tmp_path):
    for file in (real / "kitti_raw_format").iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "image_02" / "data").mkdir(parents=True)
    for file in (real / "scenes3d" / "images").glob("kitti_raw_*"):
        (tmp_path / "image_02" / "data" / file.name.removeprefix("kitti_raw_")).symlink_to(file)
    reader = open_scenes(tmp_path)
    assert isinstance(reader, KittiRaw)
    scenes = [scene for scene in reader.scenes("00000") if isinstance(scene, Sample)]
    assert len(scenes) == 39
    seen = 0
    for scene in scenes:
        evidence = Evidence.of(scene)
        for expected in solids(rows[f"kitti_raw_{scene.key}"]):
            # The reference is upright in the camera's frame. The laser is tilted by a degree against it.
            near = min(
                evidence.objects,
                key=lambda one: np.linalg.norm(np.subtract(one.solid.centre, expected.centre)),
            )
            assert np.linalg.norm(np.subtract(near.solid.centre, expected.centre)) < 0.02
            boxes = [projected_box(solid, evidence.camera) for solid in (near.solid, expected)]
            assert iou(*boxes) > 0.9
            seen += 1
    assert seen == 175


def quaternion(turn: np.ndarray) -> list[float]:
    """Scalar first, of a rotation."""
    values, vectors = np.linalg.eigh(
        np.array(
            [
                [turn[0, 0] - turn[1, 1] - turn[2, 2], 0, 0, 0],
                [turn[0, 1] + turn[1, 0], turn[1, 1] - turn[0, 0] - turn[2, 2], 0, 0],
                [turn[0, 2] + turn[2, 0], turn[1, 2] + turn[2, 1], turn[2, 2] - turn[0, 0] - turn[1, 1], 0],
                [turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1], np.trace(turn)],
            ]
        )
    )
    x, y, z, w = vectors[:, values.argmax()]
    return [w, x, y, z]


def test_nuscenes(real, rows, tmp_path):
    """The tables of a moving car with a turned camera, made from a real frame of nuScenes."""
    row = rows["nuscenes_CAM_FRONT"]
    ego = rotation_about(2, 0.8), np.array([411.3, 1180.9, 0.0])
    sensor = rotation_about(2, -1.5) @ FROM_UPRIGHT @ rotation_about(1, 0.02), np.array([1.7, 0.0, 1.5])
    annotations = []
    for number, one in enumerate(row["boxes"]):
        width, height, length = one["dimensions"]
        centre = ego[0] @ (sensor[0] @ one["center_cam"] + sensor[1]) + ego[1]
        axes = ego[0] @ sensor[0] @ np.array(one["R_cam"]) @ FROM_UPRIGHT.T
        annotations.append(
            {"token": f"a{number}", "sample_token": "s", "instance_token": one["category"],
             "visibility_token": "4",
             "translation": centre.tolist(), "size": [width, length, height], "rotation": quaternion(axes),
             "num_lidar_pts": 0 if number == 0 else 9, "num_radar_pts": 0}
        )  # fmt: skip
    behind = {
        **annotations[0],
        "token": "b",
        "translation": (ego[1] - ego[0] @ sensor[0] @ [0, 0, 9]).tolist(),
    }
    names = {
        "pedestrian": "human.pedestrian.adult",
        "traffic_cone": "movable_object.trafficcone",
        "barrier": "movable_object.barrier",
        "construction_vehicle": "vehicle.construction",
        "bus": "vehicle.bus.rigid",
    }
    categories = {one["category"] for one in row["boxes"]}
    file = "samples/CAM_FRONT/front.jpg"
    tables = {
        "sensor": [{"token": "cam", "modality": "camera", "channel": "CAM_FRONT"},
                   {"token": "lid", "modality": "lidar"}],
        "calibrated_sensor": [{"token": "c", "sensor_token": "cam", "camera_intrinsic": row["K"],
                               "translation": sensor[1].tolist(), "rotation": quaternion(sensor[0])},
                              {"token": "l", "sensor_token": "lid"}],
        "ego_pose": [{"token": "e", "translation": ego[1].tolist(), "rotation": quaternion(ego[0])}],
        "category": [{"token": name, "name": names.get(name, f"vehicle.{name}")} for name in categories],
        "instance": [{"token": name, "category_token": name} for name in categories],
        "sample_annotation": [*annotations, behind],
        "sample_data": [
            {"token": "d", "sample_token": "s", "ego_pose_token": "e", "calibrated_sensor_token": "c",
             "filename": file, "is_key_frame": True},
            {"token": "d2", "sample_token": "s", "ego_pose_token": "e", "calibrated_sensor_token": "c",
             "filename": "sweeps/no.jpg", "is_key_frame": False},
            {"token": "d3", "sample_token": "s", "ego_pose_token": "e", "calibrated_sensor_token": "l",
             "filename": "samples/LIDAR_TOP/x.bin", "is_key_frame": True},
        ],
    }  # fmt: skip
    (tmp_path / "v1.0-mini").mkdir()
    for name, table in tables.items():
        (tmp_path / "v1.0-mini" / f"{name}.json").write_text(json.dumps(table))
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).symlink_to(real / "scenes3d" / row["image"])
    reader = open_scenes(tmp_path)
    assert isinstance(reader, NuScenes)
    (scene,) = reader.scenes("00000")
    objects = Evidence.of(scene).objects
    assert [one.label for one in objects] == [one["category"].replace("_", " ") for one in row["boxes"]]
    assert all(same(one.solid, expected, 0.01) for one, expected in zip(objects, solids(row), strict=True))
    assert [one.visibility for one in objects[:2]] == [0.0, 0.9]


def test_sun_rgbd(real, rows, tmp_path):
    """The text layout, made from the real frame with a tilted camera."""
    row = rows["sunrgbd_000017"]
    flip = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    # Up in the room, in the camera's frame, is the own -y of its furniture.
    up, forward = -np.array(row["boxes"][1]["R_cam"])[:, 1], np.array([0.0, 0.0, 1.0])
    forward = forward - up * (forward @ up)
    basis = np.stack([np.cross(forward, up), forward, up]) / np.linalg.norm(forward)
    basis[2] = up
    tilt = (basis @ flip).reshape(3, 3)  # from the camera's depth frame to the upright one
    lines = []
    for one in row["boxes"]:
        width, height, length = one["dimensions"]
        axes = basis @ np.array(one["R_cam"]) @ FROM_UPRIGHT.T
        x0, y0, x1, y1 = one["bbox2D_gt"]
        numbers = [
            x0,
            y0,
            x1 - x0,
            y1 - y0,
            *(basis @ one["center_cam"]),
            width / 2,
            length / 2,
            height / 2,
            *axes[:2, 0],
        ]
        lines.append(" ".join([one["category"], *map(str, numbers)]))
    for name in ("label", "calib", "image"):
        (tmp_path / name).mkdir()
    (tmp_path / "label" / "000017.txt").write_text("\n".join(lines))
    columns = [np.array(matrix).reshape(3, 3).reshape(-1, order="F") for matrix in (tilt, row["K"])]
    (tmp_path / "calib" / "000017.txt").write_text(
        "\n".join(" ".join(map(str, column)) for column in columns)
    )
    (tmp_path / "image" / "000017.jpg").symlink_to(real / "scenes3d" / row["image"])
    reader = open_scenes(tmp_path)
    assert isinstance(reader, SunRgbd)
    evidence = Evidence.of(next(reader.scenes("00000")))
    assert [one.label for one in evidence.objects] == ["night stand", "bed"]
    assert all(
        same(one.solid, expected, 0.03) for one, expected in zip(evidence.objects, solids(row), strict=True)
    )
    assert (
        np.mean([iou(projected_box(one.solid, evidence.camera), one.box) for one in evidence.objects]) > 0.85
    )


def test_omni3d(real, rows, tmp_path):
    """Omni3D's JSON with its marks for what is unknown, made from a real frame."""
    row = rows["kitti_object_000008"]
    image = {
        "id": 7,
        "dataset_id": 0,
        "width": row["width"],
        "height": row["height"],
        "K": row["K"],
        "file_path": "KITTI_object/training/image_2/000008.jpg",
        "src_90_rotate": 0,
        "src_flagged": False,
    }
    unknown = {
        "bbox2D_tight": [-1] * 4,
        "bbox2D_trunc": [-1] * 4,
        "visibility": -1,
        "truncation": -1,
        "segmentation_pts": -1,
        "lidar_pts": -1,
        "depth_error": -1,
        "behind_camera": False,
        "valid3D": True,
    }
    annotations = [
        {"id": n, "image_id": 7, "category_id": 1, "category_name": "car", **unknown,
         "center_cam": one["center_cam"], "dimensions": one["dimensions"], "R_cam": one["R_cam"]}
        for n, one in enumerate(row["boxes"])
    ]  # fmt: skip
    annotations[0] |= {"visibility": 0.8, "truncation": 0.1, "bbox2D_tight": row["boxes"][0]["bbox2D_gt"]}
    annotations[1] |= {"lidar_pts": 0}
    annotations[2] |= {"valid3D": False, "dimensions": [-1, -1, -1]}
    content = {"info": {"name": "KITTI"}, "images": [image, {**image, "id": 8, "src_flagged": True}],
               "categories": [{"id": 1, "name": "car"}], "annotations": annotations}  # fmt: skip
    (tmp_path / "Omni3D").mkdir()
    (tmp_path / "Omni3D" / "KITTI_train.json").write_text(json.dumps(content))
    target = tmp_path / image["file_path"]
    target.parent.mkdir(parents=True)
    target.symlink_to(real / "scenes3d" / row["image"])
    reader = open_scenes(tmp_path / "Omni3D" / "KITTI_train.json")
    assert isinstance(reader, Omni3D)
    scene, flagged = reader.scenes("00000")
    assert (flagged.reason, scene.meta["domain"]) == ("unsure-orientation", "outdoor")
    objects = Evidence.of(scene).objects
    assert (objects[0].visibility, objects[0].truncation) == (0.8, 0.1)
    assert (objects[1].visibility, objects[2].solid, objects[3].visibility) == (0.0, None, None)
    assert all(same(objects[n].solid, solids(row)[n], 1e-6) for n in (0, 1, 3))


def test_an_image_of_another_size_than_its_labels_is_rejected(rows, tmp_path):
    row = rows["kitti_object_000008"]
    (tmp_path / "a.jpg").write_bytes(picture(64, 64))
    image = {"id": 1, "width": 640, "height": 64, "K": row["K"], "file_path": "a.jpg"}
    (tmp_path / "Omni3D_x.json").write_text(
        json.dumps({"images": [image], "annotations": [], "categories": []})
    )
    (rejected,) = open_scenes(tmp_path).scenes("00000")
    assert rejected.reason == "wrong-size"


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_data_that_no_reader_knows_is_an_error_that_says_what_is_known(tmp_path, name):
    from vila2.errors import DataError

    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no such file|kitti-raw"):
        open_scenes(tmp_path / name)
