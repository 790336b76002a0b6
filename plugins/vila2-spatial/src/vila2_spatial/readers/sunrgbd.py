"""SUN RGB-D as text: ``label/``, ``calib/`` and ``image/``, the layout of Frustum PointNets and VoteNet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from vila2.plugin import Reject, Sample, SceneObject

from vila2_spatial.readers.frames import (
    camera,
    find_image,
    load_image,
    plain_label,
    rotation_about,
    sample_of,
    unit_box,
    upright_box,
)
from vila2_spatial.readers.keyed import KeyedReader
from vila2_spatial.readers.reading import BadFrame, intrinsics, numbers, text_lines

#: From the upright depth frame (x right, y forward, z up) to the camera's (x right, y down, z forward).
_FLIP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


class SunRgbd(KeyedReader):
    """The folder with ``label``, ``calib`` and ``image`` (``sunrgbd_trainval``)."""

    takes_images = True

    @staticmethod
    def fits(path: Path) -> bool:
        return all((path / name).is_dir() for name in ("label", "calib"))

    def keys(self) -> Sequence[str]:
        return sorted(file.stem for file in (self.path / "label").glob("*.txt"))

    def place(self, key: str) -> str:
        return str(self.path / "label" / f"{key}.txt")

    def scene(self, key: str) -> Sample | Reject:
        where = self.place(key)
        loaded = load_image(find_image(self.images or self.path / "image", key), key, where)
        if isinstance(loaded, Reject):
            return loaded
        data, (width, height) = loaded
        tilt, K = _calibration(self.path / "calib" / f"{key}.txt")
        lines = text_lines(Path(where), "labels")
        objects = [_object(line, tilt, width, height, place) for place, line in lines]
        return sample_of(key, data, objects, camera(K, width, height), dataset="sunrgbd", domain="indoor")


def _calibration(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Rtilt and K, each a line of 9 numbers column by column."""
    rows = [(where, numbers(line.split(), where)) for where, line in text_lines(path, "calibration")]
    odd = next((where for where, row in rows[:2] if len(row) != 9), str(path) if len(rows) < 2 else None)
    if odd is not None:
        raise BadFrame(odd, "bad-calibration", "needed are two lines of nine numbers, Rtilt and K")
    tilt, K = (np.array(row).reshape(3, 3, order="F") for _, row in rows[:2])
    return tilt, intrinsics(K, rows[1][0])


def _object(line: str, tilt: np.ndarray, width: int, height: int, where: str) -> SceneObject:
    name, *rest = line.split()
    if len(rest) != 12:
        raise BadFrame(where, "bad-label", f"{len(rest) + 1} fields instead of 13: {line[:60]!r}")
    x, y, w, h, *solid = numbers(rest, where)
    centre, (half_width, half_length, half_height), (ox, oy) = solid[:3], solid[3:6], solid[6:8]
    to_camera = _FLIP @ tilt.T
    # The orientation is the direction of the box's own x axis, seen from above.
    axes = to_camera @ rotation_about(2, np.arctan2(oy, ox))
    return SceneObject(
        label=plain_label(name),
        box=unit_box((x, y, x + w, y + h), width, height),
        solid=upright_box(to_camera @ centre, 2 * half_length, 2 * half_width, 2 * half_height, axes),
    )
