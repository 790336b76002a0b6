"""ARKitScenes, Hypersim and Objectron: fixtures in the exact native layout.

The poses are such that a mistake shows.
"""

from __future__ import annotations

import csv
import io
import json
import struct

import numpy as np
import pytest
from PIL import Image
from spatial_pictures import picture
from vila2.data.evidence import Evidence
from vila2.data.shards import Reject
from vila2.errors import DataError

from vila2_spatial.geometry import corners, projected_box
from vila2_spatial.readers import open_scenes
from vila2_spatial.readers.arkitscenes import ArkitScenes
from vila2_spatial.readers.frames import rotation_about
from vila2_spatial.readers.hypersim import NYU40, Hypersim
from vila2_spatial.readers.objectron import Objectron
from vila2_spatial.readers.tf_example import parse_example


def only(scenes) -> tuple:
    (scene,) = scenes
    assert not isinstance(scene, Reject), scene
    return scene, Evidence.of(scene)


def upright_world_to_camera(turn: float, roll: int) -> np.ndarray:
    """A camera in a world with z up: looks along +y, turned about z, then rolled clockwise by quarters."""
    look = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])  # right = x, down = -z, forward = y
    return np.round(rotation_about(2, roll * np.pi / 2)) @ look @ rotation_about(2, turn)


def vector_of(turn: np.ndarray) -> np.ndarray:
    """Axis times angle of a rotation."""
    angle = np.arccos((np.trace(turn) - 1) / 2)
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    return axis / (2 * np.sin(angle)) * angle


@pytest.mark.parametrize("roll", [0, 1, 2, 3])
def test_arkitscenes_frames_are_turned_upright(tmp_path, roll):
    to_camera = upright_world_to_camera(0.3, roll)
    place = np.array([2.0, -1.0, 1.5])
    forward, right = (
        np.linalg.inv(rotation_about(2, 0.3)) @ [0, 1, 0],
        np.linalg.inv(rotation_about(2, 0.3)) @ [1, 0, 0],
    )
    spots = {
        "chair": place + 3 * forward - 0.8 * right,
        "tv_monitor": place + 4 * forward + 1.0 * right + [0, 0, 0.4],
    }
    axes = rotation_about(2, 0.4).T  # the rows are the box's axes
    rows = [
        {"uid": label, "label": label, "segments": {"obbAligned": {
            "centroid": spot.tolist(), "axesLengths": [0.5, 0.6, 0.9],
            "normalizedAxes": axes.reshape(-1).tolist()}}}
        for label, spot in [*spots.items(), ("bed", place - 3 * forward)]
    ]  # fmt: skip
    video = tmp_path / "Training" / "41254925"
    frames = video / "41254925_frames"
    for name in ("lowres_wide", "lowres_wide_intrinsics"):
        (frames / name).mkdir(parents=True)
    (video / "41254925_3dod_annotation.json").write_text(json.dumps({"data": rows, "skipped": False}))
    (frames / "lowres_wide" / "41254925_3379.120.png").write_bytes(picture(256, 192, "PNG"))
    (frames / "lowres_wide_intrinsics" / "41254925_3379.119.pincam").write_text(
        "256 192 210.0 211.0 130.0 95.0"
    )
    shift = -to_camera @ place
    pose = " ".join(map(str, [3379.1235, *vector_of(to_camera), *shift]))
    (frames / "lowres_wide.traj").write_text(f"3379.02 0 0 0 0 0 0\n{pose}\n3379.22 0 0 0 0 0 0\n")
    reader = open_scenes(tmp_path)
    assert isinstance(reader, ArkitScenes)
    scene, evidence = only(reader.scenes("00000"))
    assert [one.label for one in evidence.objects] == ["chair", "tv monitor"]  # the bed is behind the camera
    chair, monitor = (one.solid for one in evidence.objects)
    assert np.allclose(chair.centre, [-0.8, 0, 3], atol=1e-6)
    assert np.allclose(monitor.centre, [1.0, -0.4, 4], atol=1e-6)
    heights = [np.ptp(corners(solid)[:, 1]) for solid in (chair, monitor)]
    assert heights == pytest.approx([0.9, 0.9])  # upright again
    size = Image.open(io.BytesIO(scene.images[0])).size
    assert (
        size
        == (evidence.camera.width, evidence.camera.height)
        == ((256, 192) if roll % 2 == 0 else (192, 256))
    )
    # The same rays go through the same pixels: the colored side of the image is where the roll put it.
    middle = np.array(evidence.camera.K) @ np.array(chair.centre)
    u, v = middle[:2] / middle[2]
    turn = np.round(rotation_about(2, roll * np.pi / 2))
    before = np.array([[210, 0, 130], [0, 211, 95], [0, 0, 1]]) @ turn @ np.array(chair.centre)
    x, y = before[:2] / before[2]
    assert (u, v) == pytest.approx([(x, y), (y, 256 - x), (256 - x, 192 - y), (192 - y, x)][roll])
    pixels = np.asarray(Image.open(io.BytesIO(scene.images[0])))
    height, width, _ = pixels.shape
    red = pixels[
        [(height // 2, 2), (height - 3, width // 2), (height // 2, width - 3), (2, width // 2)][roll]
    ]
    assert red[0] > 200


def test_an_arkitscenes_frame_without_a_pose_is_rejected(tmp_path):
    frames = tmp_path / "1" / "1_frames"
    for name in ("lowres_wide", "lowres_wide_intrinsics"):
        (frames / name).mkdir(parents=True)
    (tmp_path / "1" / "1_3dod_annotation.json").write_text('{"data": []}')
    (frames / "lowres_wide" / "1_5.000.png").write_bytes(picture(64, 48, "PNG"))
    (frames / "lowres_wide_intrinsics" / "1_5.000.pincam").write_text("64 48 50 50 32 24")
    (frames / "lowres_wide.traj").write_text("5.1 0 0 0 0 0 0\n")
    (rejected,) = open_scenes(tmp_path).scenes("00000")
    assert rejected.reason == "no-pose"


def hypersim(root, save) -> None:
    """One scene with a lamp, a wall and a thing of two categories, written with ``save(stem, array)``."""
    scene = root / "ai_001_002"
    mesh, pose = scene / "_detail" / "mesh", scene / "_detail" / "cam_00"
    preview = scene / "images" / "scene_cam_00_final_preview"
    for folder in (mesh, pose, preview):
        folder.mkdir(parents=True)
    (preview / "frame.0003.tonemap.jpg").write_bytes(picture(1024, 768))
    (scene / "_detail" / "metadata_scene.csv").write_text(
        "parameter_name,parameter_value\nmeters_per_asset_unit,0.0254\n"
    )
    prefix = "metadata_semantic_instance_bounding_box_object_aligned_2d"
    # The camera stands at (0, -100, 40) in inches, looks along +y and has z up. Its x, y, z axes are columns.
    save(pose / "camera_keyframe_frame_indices", np.array([0, 3]))
    save(
        pose / "camera_keyframe_orientations",
        np.array([np.eye(3), [[1, 0, 0], [0, 0, -1], [0, 1, 0]]], float),
    )
    save(pose / "camera_keyframe_positions", np.array([[0, 0, 0], [0, -100, 40]], float))
    missing = np.full(3, np.inf)
    save(mesh / f"{prefix}_extents", np.array([missing, [10, 20, 30], [400, 4, 100], [5, 5, 5]]))
    save(mesh / f"{prefix}_positions", np.array([missing, [20, 0, 50], [0, 60, 40], [0, 0, 40]]))
    save(mesh / f"{prefix}_orientations", np.stack([np.full((3, 3), np.inf), *[np.eye(3)] * 3]))
    save(mesh / "mesh_objects_sii", np.array([[-1], [1], [1], [2], [3], [3]]))
    save(mesh / "mesh_objects_si", np.array([[-1], [35], [35], [1], [5], [7]]))


def save_npy(stem, array) -> None:
    np.save(stem.with_name(stem.name + ".npy"), array)


def test_hypersim(tmp_path):
    hypersim(tmp_path, save_npy)
    reader = open_scenes(tmp_path)
    assert isinstance(reader, Hypersim)
    _, evidence = only(reader.scenes("00000"))
    assert [one.label for one in evidence.objects] == ["lamp", "wall"]
    lamp = evidence.objects[0].solid
    assert np.allclose(lamp.centre, np.array([20, -10, 100]) * 0.0254)
    assert np.allclose(np.ptp(corners(lamp), axis=0), np.array([10, 30, 20]) * 0.0254)
    # 60 degrees over 1024 pixels.
    assert evidence.camera.K[0][0] == pytest.approx(512 / np.tan(np.pi / 6))
    assert evidence.camera.K[1][1] == pytest.approx(evidence.camera.K[0][0])


def test_hypersims_own_projection_is_used_where_it_is_known(tmp_path):
    hypersim(tmp_path, save_npy)
    P = np.array([[1.7, 0, 0.05, 0], [0, 2.3, -0.1, 0], [0, 0, -1.002, -2], [0, 0, -1, 0]])
    with (tmp_path / "metadata_camera_parameters.csv").open("w", newline="") as file:
        names = [f"M_proj_{i}{j}" for i in range(4) for j in range(4)]
        csv.writer(file).writerows([["scene_name", *names], ["ai_001_002", *P.reshape(-1)]])
    _, evidence = only(open_scenes(tmp_path).scenes("00000"))
    lamp = evidence.objects[0].solid
    # By the matrix as it is given: y up, looking along -z.
    clip = [P @ [x, -y, -z, 1] for x, y, z in corners(lamp)]
    screen = np.array([[(x / w + 1) / 2, (1 - y / w) / 2] for x, y, _, w in clip])
    assert projected_box(lamp, evidence.camera) == pytest.approx((*screen.min(axis=0), *screen.max(axis=0)))


def test_hypersim_as_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py", reason="HDF5 is read with h5py (vila2-spatial[hypersim])")

    def save(stem, array) -> None:
        with h5py.File(stem.with_name(stem.name + ".hdf5"), "w") as file:
            file.create_dataset("dataset", data=array)

    hypersim(tmp_path, save)
    _, evidence = only(open_scenes(tmp_path).scenes("00000"))
    assert [one.label for one in evidence.objects] == ["lamp", "wall"]


def test_nyu40_has_forty_names():
    assert len(NYU40) == len(set(NYU40)) == 40
    assert (NYU40[0], NYU40[4], NYU40[34]) == ("wall", "chair", "lamp")


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(features: dict) -> bytes:
    """A serialized tf.train.Example."""
    entries = b""
    for name, values in features.items():
        if isinstance(values[0], bytes):
            feature = field(1, b"".join(field(1, value) for value in values))
        elif isinstance(values[0], float):
            feature = field(2, field(1, np.array(values, "<f4").tobytes()))
        else:
            feature = field(3, field(1, b"".join(varint(value % (1 << 64)) for value in values)))
        entries += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, entries)


def tf_record(records: list[bytes]) -> bytes:
    return b"".join(struct.pack("<QI", len(one), 0) + one + struct.pack("<I", 0) for one in records)


def objectron_example(bend: float = 0.0) -> bytes:
    """Two cups seen by a phone held upright.

    In the camera's frame, x is down and y is right in the image, and z is backward.
    """
    points, pixels = [], []
    local = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    for centre, turn in (((0.1, -0.12, -0.6), 0.3), ((0.12, 0.1, -0.9), -0.5)):
        # Up of the cup is -x of the camera.
        axes = np.array([[0, -1.0, 0], [1.0, 0, 0], [0, 0, 1.0]]) @ rotation_about(1, turn)
        shape = np.concatenate([[[0, 0, 0]], local]) * [0.08, 0.1, 0.09] @ axes.T + centre
        points.append(shape)
        u = 0.5 + 1.6 * shape[:, 1] / -shape[:, 2] + bend * shape[:, 0]
        v = 0.48 + 1.2 * shape[:, 0] / -shape[:, 2]
        pixels.append(np.stack([u, v, -shape[:, 2]], axis=1))
    return example(
        {
            "image/encoded": [picture(480, 640)],
            "image/filename": [b"cup/batch-1/0/12"],
            "object/name": [b"cup", b"cup/batch-1/0"],
            "instance_num": [2],
            "point_num": [9, 9],
            "object/visibility": [1.0, 0.5],
            "point_3d": np.concatenate(points).reshape(-1).tolist(),
            "point_2d": np.concatenate(pixels).reshape(-1).tolist(),
        }
    )


def test_objectron(tmp_path):
    (tmp_path / "cup_train-00000-of-00001").write_bytes(
        tf_record([objectron_example(), objectron_example(bend=0.5)])
    )
    reader = open_scenes(tmp_path)
    assert isinstance(reader, Objectron)
    good, bent = reader.scenes("00000")
    assert bent.reason == "no-camera"
    evidence = Evidence.of(good)
    first, second = evidence.objects
    assert (first.label, second.label, second.visibility) == ("cup", "cup", 0.5)
    assert np.allclose(first.solid.centre, [-0.12, 0.1, 0.6], atol=1e-5)
    assert np.allclose(second.solid.centre, [0.1, 0.12, 0.9], atol=1e-5)
    assert np.ptp(corners(first.solid)[:, 1]) == pytest.approx(0.1, abs=1e-5)  # upright
    assert np.linalg.det(np.array(first.solid.rotation)) == pytest.approx(1, abs=1e-4)
    assert evidence.camera.K[0][0] == pytest.approx(1.6 * 480, rel=1e-3)
    assert projected_box(first.solid, evidence.camera)[0] < projected_box(second.solid, evidence.camera)[0]


def test_a_cut_tf_record_is_an_error(tmp_path):
    content = tf_record([objectron_example()])
    (tmp_path / "cup-00000-of-00001").write_bytes(content[:-40])
    with pytest.raises(DataError, match="ends within a record"):
        open_scenes(tmp_path).pieces()


def test_numbers_of_an_example_are_read_as_written():
    record = example({"a": [1, -5, 1 << 40], "b": [0.5, -2.0], "c": [b"x", b""]})
    assert parse_example(record, "here") == {"a": [1, -5, 1 << 40], "b": [0.5, -2.0], "c": [b"x", b""]}
    with pytest.raises(DataError, match="here"):
        parse_example(record[:-3], "here")


def arkit(
    root, *, rows: str = '{"data": []}', pincam: str = "64 48 50 50 32 24", pose: str = "5.0 0 0 0 0 0 0"
) -> None:
    """A video of one frame."""
    frames = root / "1" / "1_frames"
    for name in ("lowres_wide", "lowres_wide_intrinsics"):
        (frames / name).mkdir(parents=True)
    (root / "1" / "1_3dod_annotation.json").write_text(rows)
    (frames / "lowres_wide" / "1_5.000.png").write_bytes(picture(64, 48, "PNG"))
    (frames / "lowres_wide_intrinsics" / "1_5.000.pincam").write_text(pincam)
    (frames / "lowres_wide.traj").write_text(pose)


#: In front of the camera.
BED = {
    "label": "bed",
    "segments": {
        "obbAligned": {
            "centroid": [1, 0, 7],
            "axesLengths": [1, 1, 1],
            "normalizedAxes": [1, 0, 0, 0, 1, 0, 0, 0, 1],
        }
    },
}


@pytest.mark.parametrize(
    ("odd", "where"),
    [
        ({"rows": '{"data": [{"label"'}, "1_3dod_annotation.json#1_5.000"),
        (
            {"rows": '{"data": [{"label": "chair", "segments": {"obb": {}}}]}'},
            "1_3dod_annotation.json: data[0]",
        ),
        (
            {"rows": '{"data": [{"label": "chair", "segments": {"obbAligned": {"centroid": [1]}}}]}'},
            "1_3dod_annotation.json: data[0]",
        ),
        ({"rows": "[1]"}, "1_3dod_annotation.json: data[0]"),
        (
            {"rows": json.dumps({"data": [BED]}).replace("[1, 0, 0", "[1, 0, -1e300")},
            "1_3dod_annotation.json#1_5.000",
        ),
        ({"pincam": "64 48 50 50"}, "1_5.000.pincam"),
        ({"pincam": "64 48 x 50 32 24"}, "1_5.000.pincam"),
        ({"pose": "5.0 0 0 0"}, "lowres_wide.traj:1"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_odd_arkitscenes_frame_is_refused_by_its_file(tmp_path, odd, where):
    arkit(tmp_path, **odd)
    (reject,) = open_scenes(tmp_path).scenes("00000")
    assert isinstance(reject, Reject) and reject.where.endswith(where), reject


def test_an_arkitscenes_video_without_frames_is_said(tmp_path):
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "2_3dod_annotation.json").write_text('{"data": []}')
    with pytest.raises(DataError, match="lowres_wide: no frames"):
        open_scenes(tmp_path).pieces()
    arkit(tmp_path)
    lost, scene = open_scenes(tmp_path).scenes("00000")
    assert lost.reason == "no-image" and not isinstance(scene, Reject)


@pytest.mark.parametrize("name", ["cam_00/camera_keyframe_positions.npy", "metadata_scene.csv"])
def test_a_hypersim_scene_with_a_file_that_is_cut_or_missing_is_refused(tmp_path, name):
    hypersim(tmp_path, save_npy)
    file = tmp_path / "ai_001_002" / "_detail" / name
    if file.suffix == ".npy":
        file.write_bytes(file.read_bytes()[:20])
    else:
        file.unlink()
    (reject,) = open_scenes(tmp_path).scenes("00000")
    assert reject.reason == "unreadable-file" and name in reject.where + reject.detail


def test_a_cut_tf_record_leaves_what_stands_before_the_cut(tmp_path):
    content = tf_record([objectron_example(), objectron_example()])
    (tmp_path / "cup-00000-of-00001").write_bytes(content[:-40])
    lost, scene = open_scenes(tmp_path).scenes("00000")
    assert lost.reason == "cut-file" and "ends within a record" in lost.detail
    assert not isinstance(scene, Reject)


def test_a_record_that_is_no_example_is_refused(tmp_path):
    (tmp_path / "cup-00000-of-00001").write_bytes(tf_record([b"\xff\xff\xff", objectron_example()]))
    reject, scene = open_scenes(tmp_path).scenes("00000")
    assert reject.where.endswith("of-00001@12") and not isinstance(scene, Reject)
