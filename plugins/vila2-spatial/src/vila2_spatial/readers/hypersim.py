"""Hypersim: scene folders ``ai_VVV_NNN`` with ``_detail`` and the tone-mapped previews."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from vila2.plugin import Camera, DataError, Reject, Sample, SceneObject

from vila2_spatial.geometry import projected_box
from vila2_spatial.readers.frames import camera, load_image, sample_of, upright_box
from vila2_spatial.readers.keyed import KeyedReader

#: The categories of NYU40 in the order of their numbers, which begin at 1.
NYU40 = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture",
    "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat", "clothes",
    "ceiling", "books", "refrigerator", "television", "paper", "towel", "shower curtain", "box", "whiteboard",
    "person", "night stand", "toilet", "sink", "lamp", "bathtub", "bag", "other structure", "other furniture",
    "other prop",
)  # fmt: skip

#: Camera and own frames have y up and look along -z.
_FLIP = np.diag([1.0, -1.0, -1.0])
_PREFIX = "metadata_semantic_instance_bounding_box_object_aligned_2d"


class Hypersim(KeyedReader):
    """Scene folders, or one of them.

    ``metadata_camera_parameters.csv`` (ml-hypersim/contrib/mikeroberts3000) in the path gives every scene its
    own projection, because some scenes use a tilt-shift lens. Arrays come from ``NAME.hdf5`` with h5py, or
    from ``NAME.npy`` beside it.
    """

    @staticmethod
    def fits(path: Path) -> bool:
        return path.is_dir() and any(_scenes(path))

    def keys(self) -> Sequence[str]:
        return [
            f"{scene.name}/{folder.name.removeprefix('scene_').removesuffix('_final_preview')}/"
            f"{image.name.split('.')[1]}"
            for scene in _scenes(self.path)
            for folder in sorted((scene / "images").glob("scene_cam_*_final_preview"))
            for image in sorted(folder.glob("frame.*.tonemap.jpg"))
        ]

    def lost(self) -> Sequence[Reject]:
        return [
            Reject(
                str(scene), scene.name, "no-image", "no images/scene_cam_*_final_preview/frame.*.tonemap.jpg"
            )
            for scene in _scenes(self.path)
            if next(scene.glob("images/scene_cam_*_final_preview/frame.*.tonemap.jpg"), None) is None
        ]

    def place(self, key: str) -> str:
        return f"{self.path}: {key}"

    def scene(self, key: str) -> Sample | Reject:
        name, taken_by, frame = key.split("/")
        root = self.path if self.path.name == name else self.path / name
        image = root / "images" / f"scene_{taken_by}_final_preview" / f"frame.{frame}.tonemap.jpg"
        loaded = load_image(image, key, str(image))
        if isinstance(loaded, Reject):
            return loaded
        data, (width, height) = loaded
        pose = root / "_detail" / taken_by
        frames = list(_array(pose / "camera_keyframe_frame_indices"))
        if int(frame) not in frames:
            return Reject(str(image), key, "no-pose", f"{pose} does not speak of this frame")
        number = frames.index(int(frame))
        turn = _FLIP @ _array(pose / "camera_keyframe_orientations")[number].T  # from the world to the camera
        origin = _array(pose / "camera_keyframe_positions")[number]
        seen_by = _camera(self.path / "metadata_camera_parameters.csv", name, width, height)
        objects = [
            one for one in _objects(root, turn, origin) if one.solid and projected_box(one.solid, seen_by)
        ]
        return sample_of(key, data, objects, seen_by, dataset="hypersim", domain="indoor")


def _scenes(path: Path) -> list[Path]:
    return sorted(root for root in (path, *path.glob("ai_*")) if (root / "_detail" / "mesh").is_dir())


def _objects(root: Path, turn: np.ndarray, origin: np.ndarray) -> list[SceneObject]:
    mesh = root / "_detail" / "mesh"
    scale = _metres_per_unit(root / "_detail" / "metadata_scene.csv")
    extents, positions, axes = (
        _array(mesh / f"{_PREFIX}_{name}") for name in ("extents", "positions", "orientations")
    )
    objects = []
    for number, label in sorted(_labels(mesh).items()):
        if not all(np.isfinite(one[number]).all() for one in (extents, positions, axes)):
            continue  # an instance without a mesh has infinite numbers
        centre = turn @ (positions[number] - origin) * scale
        length, width, height = (float(side) for side in extents[number] * scale)
        solid = upright_box(centre, length, width, height, turn @ axes[number])
        objects.append(SceneObject(label=label, solid=solid))
    return objects


def _labels(mesh: Path) -> dict[int, str]:
    """The category of every semantic instance, except instances whose parts have several."""
    kinds: dict[int, set[int]] = {}
    parts, classes = (_array(mesh / f"mesh_objects_{name}").reshape(-1) for name in ("sii", "si"))
    for instance, kind in zip(parts.tolist(), classes.tolist(), strict=True):
        if instance >= 0:
            kinds.setdefault(int(instance), set()).add(int(kind))
    return {
        instance: NYU40[min(found) - 1]
        for instance, found in kinds.items()
        if len(found) == 1 and 1 <= min(found) <= len(NYU40)
    }


def _camera(file: Path, scene: str, width: int, height: int) -> Camera:
    """The scene's own projection where it is known, else a field of view of 60 degrees."""
    half = np.tan(np.pi / 6)
    P = np.array([[1 / half, 0, 0], [0, width / height / half, 0], [0, 0, -1.0]])
    if file.is_file():
        with file.open(newline="") as handle:
            row = next((row for row in csv.DictReader(handle) if row["scene_name"] == scene), None)
        if row is None:
            raise DataError(f"{file}: no row for {scene}", hint="fetch the file again")
        P = np.array([[float(row[f"M_proj_{i}{j}"]) for j in range(3)] for i in (0, 1, 3)])
    # From clip coordinates (-1..1, y up) to pixels (y down).
    to_pixels = np.array([[width / 2, 0, width / 2], [0, -height / 2, height / 2], [0, 0, 1.0]])
    return camera(to_pixels @ P @ _FLIP, width, height)


def _metres_per_unit(file: Path) -> float:
    with file.open(newline="") as handle:
        for row in csv.DictReader(handle):
            if row["parameter_name"] == "meters_per_asset_unit":
                return float(row["parameter_value"])
    raise DataError(f"{file}: no meters_per_asset_unit", hint="fetch the file again")


@lru_cache(maxsize=32)
def _array(stem: Path) -> np.ndarray:
    plain, packed = stem.with_name(stem.name + ".npy"), stem.with_name(stem.name + ".hdf5")
    if plain.is_file():
        try:
            loaded: np.ndarray = np.load(plain, allow_pickle=False)
            return loaded
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{plain}: cannot be read ({error})", hint="save the array again") from error
    if not packed.is_file():
        raise DataError(f"{packed}: no such file", hint="fetch the scene's _detail folder")
    try:
        import h5py
    except ImportError as error:
        hint = "pip install 'vila2-spatial[hypersim]', or save the arrays as .npy beside the .hdf5"
        raise DataError(f"{packed}: HDF5 needs h5py", hint=hint) from error
    try:
        with h5py.File(packed, "r") as file:
            content: np.ndarray = file["dataset"][:]
            return content
    except (OSError, KeyError) as error:
        raise DataError(f"{packed}: cannot be read ({error})", hint="fetch the file again") from error
