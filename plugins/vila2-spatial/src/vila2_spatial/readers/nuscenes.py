"""nuScenes: the tables of a version (``v1.0-trainval/*.json``) and the key frames of its six cameras."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from vila2.data.evidence import SceneObject
from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.errors import DataError

from vila2_spatial.geometry import projected_box
from vila2_spatial.readers.frames import camera, load_image, rotation_of_quaternion, sample_of, upright_box
from vila2_spatial.readers.keyed import KeyedReader

#: Visibility is given in four bins, over all six cameras together.
_VISIBILITY = {"1": 0.2, "2": 0.5, "3": 0.7, "4": 0.9}

_LABELS = {
    "movable_object.trafficcone": "traffic cone",
    "movable_object.pushable_pullable": "cart",
    "static_object.bicycle_rack": "bicycle rack",
    "vehicle.construction": "construction vehicle",
}


class NuScenes(KeyedReader):
    """The data root: a folder ``v1.0-*`` of tables beside ``samples/``."""

    @staticmethod
    def fits(path: Path) -> bool:
        return any(path.glob("v1.0-*/sample_annotation.json"))

    def _table(self, name: str) -> list[dict[str, Any]]:
        file = sorted(self.path.glob("v1.0-*"))[0] / f"{name}.json"
        try:
            return json.loads(file.read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(f"{file}: can not be read ({error})", mend="fetch the tables again") from error

    @cached_property
    def _frames(self) -> dict[str, dict[str, Any]]:
        """Key frames of cameras by file name, with their sensor, the car's pose and their labels' rows."""
        sensors = {row["token"]: row for row in self._table("sensor") if row["modality"] == "camera"}
        calibrated = {
            row["token"]: row for row in self._table("calibrated_sensor") if row["sensor_token"] in sensors
        }
        poses = {row["token"]: row for row in self._table("ego_pose")}
        instances = {row["token"]: row["category_token"] for row in self._table("instance")}
        categories = {row["token"]: row["name"] for row in self._table("category")}
        labels = defaultdict(list)
        for row in self._table("sample_annotation"):
            labels[row["sample_token"]].append(
                {**row, "category": categories[instances[row["instance_token"]]]}
            )
        return {
            row["filename"]: {
                **row,
                "sensor": calibrated[row["calibrated_sensor_token"]],
                "pose": poses[row["ego_pose_token"]],
                "labels": labels[row["sample_token"]],
            }
            for row in self._table("sample_data")
            if row["is_key_frame"] and row["calibrated_sensor_token"] in calibrated
        }

    def keys(self) -> Sequence[str]:
        return sorted(self._frames)

    def scene(self, key: str) -> Sample | Reject:
        frame = self._frames[key]
        loaded = load_image(self.path / key, key, str(self.path / key))
        if isinstance(loaded, Reject):
            return loaded
        data, (width, height) = loaded
        seen_by = camera(frame["sensor"]["camera_intrinsic"], width, height)
        found = [_object(row, frame) for row in frame["labels"]]
        # The labels go all around the car; this camera is concerned with what is before it.
        objects = [one for one in found if projected_box(one.solid, seen_by) is not None]
        return sample_of(key, data, objects, seen_by, dataset="nuscenes", domain="outdoor")


def _object(row: dict[str, Any], frame: dict[str, Any]) -> SceneObject:
    centre, axes = np.array(row["translation"]), rotation_of_quaternion(*row["rotation"])
    for step in (frame["pose"], frame["sensor"]):  # from the world to the car, from the car to the camera
        turn = rotation_of_quaternion(*step["rotation"]).T
        centre, axes = turn @ (centre - step["translation"]), turn @ axes
    wide, long, tall = row["size"]
    unseen = row["num_lidar_pts"] + row["num_radar_pts"] == 0
    return SceneObject(
        label=_label(row["category"]),
        solid=upright_box(centre, long, wide, tall, axes),
        visibility=0.0 if unseen else _VISIBILITY.get(str(row["visibility_token"])),
    )


def _label(category: str) -> str:
    """ "vehicle.bus.rigid" gives "bus", "human.pedestrian.adult" "pedestrian"."""
    if category in _LABELS:
        return _LABELS[category]
    parts = category.split(".")
    return parts[min(1, len(parts) - 1)].replace("_", " ")
