"""KITTI object: ``label_2/``, ``calib/`` and ``image_2/`` as they are unpacked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from vila2.data.evidence import SceneObject
from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.errors import DataError

from vila2_spatial.readers.frames import (
    box3d,
    camera,
    find_image,
    load_image,
    plain_label,
    rotation_about,
    sample_of,
    unit_box,
)
from vila2_spatial.readers.keyed import KeyedReader

#: Occlusion as KITTI grades it (fully visible, partly, largely occluded) as a visible share; 3 is unknown.
OCCLUSION: dict[int | None, float | None] = {0: 0.95, 1: 0.6, 2: 0.2, 3: None}

#: A region that nobody labelled. It stays in the evidence, without a solid: what stands there may be anything.
UNLABELLED = "unlabelled"


class KittiObject(KeyedReader):
    """The folder that holds ``label_2``, ``calib`` and ``image_2`` (``training``)."""

    def __init__(self, path: Path) -> None:
        super().__init__(path / "training" if (path / "training").is_dir() else path)

    @staticmethod
    def fits(path: Path) -> bool:
        return any(
            (root / "label_2").is_dir() and (root / "calib").is_dir() for root in (path, path / "training")
        )

    def keys(self) -> Sequence[str]:
        return sorted(file.stem for file in (self.path / "label_2").glob("*.txt"))

    def scene(self, key: str) -> Sample | Reject:
        where = str(self.path / "label_2" / f"{key}.txt")
        loaded = load_image(find_image(self.path / "image_2", key), key, where)
        if isinstance(loaded, Reject):
            return loaded
        data, (width, height) = loaded
        K, shift = split_projection(read_calibration(self.path / "calib" / f"{key}.txt")["P2"].reshape(3, 4))
        lines = Path(where).read_text().splitlines()
        objects = [_object(line, shift, width, height, where) for line in lines if line.strip()]
        return sample_of(key, data, objects, camera(K, width, height), dataset="kitti", domain="outdoor")


def split_projection(P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K, and where the reference camera's origin lies from this camera: labels are relative to camera 0."""
    K = P[:, :3]
    return K, np.linalg.solve(K, P[:, 3])


def read_calibration(path: Path) -> dict[str, np.ndarray]:
    """The numeric lines "NAME: values" of a calibration file.

    Raises:
        DataError: no such file.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file", mend="KITTI's calibration belongs beside its labels")
    values = {}
    for line in path.read_text().splitlines():
        name, _, numbers = line.partition(":")
        try:
            values[name] = np.array([float(number) for number in numbers.split()])
        except ValueError:  # a date
            continue
    return values


def _object(line: str, shift: np.ndarray, width: int, height: int, where: str) -> SceneObject:
    fields = line.split()
    if len(fields) not in (15, 16):
        raise DataError(
            f"{where}: {len(fields)} fields instead of 15: {line[:60]!r}", mend="fetch the file again"
        )
    numbers = [float(value) for value in fields[1:15]]
    box = unit_box(numbers[3:7], width, height)
    if fields[0] == "DontCare":
        return SceneObject(label=UNLABELLED, box=box)
    tall, wide, long = numbers[7:10]
    # The location is the middle of the bottom, and y points down.
    centre = np.array(numbers[10:13]) - np.array([0, tall / 2, 0]) + shift
    return SceneObject(
        label=plain_label(fields[0]),
        box=box,
        solid=box3d(centre, (wide, tall, long), rotation_about(1, numbers[13])),
        truncation=numbers[0] if numbers[0] >= 0 else None,
        visibility=OCCLUSION.get(int(numbers[1])),
    )
