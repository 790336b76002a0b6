"""nuScenes: the tables of a version (``v1.0-trainval/*.json``) and the key frames of its six cameras."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from vila2.plugin import DataError, Reject, Sample, SceneObject

from vila2_spatial.geometry import projected_box
from vila2_spatial.readers.frames import camera, load_image, rotation_of_quaternion, sample_of, upright_box
from vila2_spatial.readers.keyed import KeyedReader
from vila2_spatial.readers.reading import BadFrame, array, intrinsics, json_of

#: Visibility is given in four bins, over all six cameras together.
_VISIBILITY = {"1": 0.2, "2": 0.5, "3": 0.7, "4": 0.9}

_LABELS = {
    "movable_object.trafficcone": "traffic cone",
    "movable_object.pushable_pullable": "cart",
    "static_object.bicycle_rack": "bicycle rack",
    "vehicle.construction": "construction vehicle",
}


class NuScenes(KeyedReader):
    """The data root, a folder ``v1.0-*`` of tables beside ``samples/``.

    Where there are several such folders, the path is one of them.
    """

    takes_images = True

    @staticmethod
    def fits(path: Path) -> bool:
        return bool(_versions(path))

    @cached_property
    def tables(self) -> Path:
        """The folder of the tables.

        Raises:
            DataError: there are tables of several versions.
        """
        versions = _versions(self.path)
        if len(versions) != 1:
            names = (
                " and ".join(folder.name for folder in versions) or "no version with sample_annotation.json"
            )
            example = versions[0] if versions else self.path / "v1.0-trainval"
            raise DataError(f"{self.path}: holds {names}", hint=f"name the one to read: --data {example}")
        return versions[0]

    @property
    def root(self) -> Path:
        """The folder that the images' names are relative to."""
        return self.images or self.tables.parent

    def _table(self, name: str) -> dict[str, Mapping[str, Any]]:
        """A table's rows by their tokens."""
        file = self.tables / f"{name}.json"
        rows = json_of(file, "fetch the tables again")
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) and "token" in row for row in rows):
            raise DataError(
                f"{file}: no table of nuScenes: no list of rows with tokens", hint="fetch it again"
            )
        return {str(row["token"]): row for row in rows}

    @cached_property
    def _frames(self) -> dict[str, _Frame]:
        """Key frames of cameras by file name, with their sensor, the car's pose and their labels' rows."""
        sensors = {token for token, row in self._table("sensor").items() if row.get("modality") == "camera"}
        calibrated = {
            token: row
            for token, row in self._table("calibrated_sensor").items()
            if str(row.get("sensor_token")) in sensors
        }
        poses, instances, categories = (self._table(name) for name in ("ego_pose", "instance", "category"))
        labels: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in self._table("sample_annotation").values():
            instance = instances.get(str(row.get("instance_token")), {})
            category = categories.get(str(instance.get("category_token")), {})
            labels[str(row.get("sample_token"))].append({**row, "category": category.get("name")})
        return {
            str(row.get("filename")): _Frame(
                token,
                calibrated[str(row.get("calibrated_sensor_token"))],
                poses.get(str(row.get("ego_pose_token"))),
                labels[str(row.get("sample_token"))],
            )
            for token, row in self._table("sample_data").items()
            if row.get("is_key_frame") and str(row.get("calibrated_sensor_token")) in calibrated
        }

    def keys(self) -> Sequence[str]:
        return sorted(self._frames)

    def place(self, key: str) -> str:
        return f"{self.tables / 'sample_data.json'}: {key}"

    def scene(self, key: str) -> Sample | Reject:
        frame = self._frames[key]
        loaded = load_image(self.root / key, key, str(self.root / key))
        if isinstance(loaded, Reject):
            return loaded
        data, (width, height) = loaded
        if frame.pose is None:
            raise BadFrame(self.place(key), "no-pose", "its row of ego_pose.json is missing")
        where = f"{self.tables / 'calibrated_sensor.json'}: {frame.sensor['token']}"
        K = intrinsics(array(frame.sensor.get("camera_intrinsic"), (3, 3), where, "camera_intrinsic"), where)
        seen_by = camera(K, width, height)
        found = [self._object(row, frame) for row in frame.labels]
        # The labels surround the car. Only those before this camera matter.
        objects = [one for one in found if one.solid and projected_box(one.solid, seen_by)]
        return sample_of(key, data, objects, seen_by, dataset="nuscenes", domain="outdoor")

    def _object(self, row: Mapping[str, Any], frame: _Frame) -> SceneObject:
        where = f"{self.tables / 'sample_annotation.json'}: {row['token']}"
        if not isinstance(row["category"], str):
            raise BadFrame(where, "unknown-category", "its instance or category is in no table")
        centre, axes = array(row.get("translation"), (3,), where, "translation"), _turn(row, where)
        for step in (frame.pose or {}, frame.sensor):  # from the world to the car, from the car to the camera
            turn = _turn(step, where).T
            centre = turn @ (centre - array(step.get("translation"), (3,), where, "translation"))
            axes = turn @ axes
        wide, long, tall = array(row.get("size"), (3,), where, "size")
        unseen = row.get("num_lidar_pts") == 0 and not row.get("num_radar_pts")
        return SceneObject(
            label=_label(row["category"]),
            solid=upright_box(centre, long, wide, tall, axes),
            visibility=0.0 if unseen else _VISIBILITY.get(str(row.get("visibility_token"))),
        )


class _Frame(NamedTuple):
    """A key frame: its token, and the rows of its camera, of the car's pose and of its labels."""

    token: str
    sensor: Mapping[str, Any]
    pose: Mapping[str, Any] | None
    labels: list[Mapping[str, Any]]


def _versions(path: Path) -> list[Path]:
    """The folders of tables that a path means."""
    if path.name.startswith("v1.0-") and (path / "sample_annotation.json").is_file():
        return [path.absolute()]
    return sorted(file.parent for file in path.glob("v1.0-*/sample_annotation.json"))


def _turn(row: Mapping[str, Any], where: str) -> np.ndarray:
    quaternion = array(row.get("rotation"), (4,), where, "rotation")
    if not quaternion.any():
        raise BadFrame(where, "bad-number", "rotation is 0 0 0 0, no quaternion")
    return rotation_of_quaternion(*quaternion)


def _label(category: str) -> str:
    """ "vehicle.bus.rigid" gives "bus", "human.pedestrian.adult" "pedestrian"."""
    if category in _LABELS:
        return _LABELS[category]
    parts = category.split(".")
    return parts[min(1, len(parts) - 1)].replace("_", " ")
