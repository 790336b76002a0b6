"""KITTI object: ``label_2/``, ``calib/`` and ``image_2/`` as they are unpacked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from vila2.plugin import DataError, Reject, Sample, SceneObject

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
from vila2_spatial.readers.reading import BadFrame, intrinsics, numbers, text_lines

#: Occlusion as KITTI grades it (fully visible, partly, largely occluded) as a visible share; 3 is unknown.
OCCLUSION: dict[int | None, float | None] = {0: 0.95, 1: 0.6, 2: 0.2, 3: None}

#: A region that nobody labeled. It stays in the evidence without a solid, because anything may stand there.
UNLABELLED = "unlabelled"
_NOWHERE = 999  # meters; -1000 says that the place is not known
_NO_NUMBERS = ("nan", "inf", "-inf")


class KittiObject(KeyedReader):
    """The folder that holds ``label_2``, ``calib`` and ``image_2`` (``training``)."""

    takes_images = True

    def __init__(self, path: Path, images: Path | None = None) -> None:
        super().__init__(path / "training" if (path / "training").is_dir() else path, images)

    @staticmethod
    def fits(path: Path) -> bool:
        return any((root / "label_2").is_dir() for root in (path, path / "training"))

    def keys(self) -> Sequence[str]:
        """The keys of all frames with labels.

        Raises:
            DataError: there is no calibration; without a camera nothing is known of space.
        """
        if not (self.path / "calib").is_dir():
            hint = "KITTI's calibration (data_object_calib.zip) belongs beside label_2/"
            raise DataError(f"{self.path / 'calib'}: no such folder", hint=hint)
        return sorted(file.stem for file in (self.path / "label_2").glob("*.txt"))

    def place(self, key: str) -> str:
        return str(self.path / "label_2" / f"{key}.txt")

    def scene(self, key: str) -> Sample | Reject:
        where = self.place(key)
        folders = [self.path / "image_2"] if self.images is None else [self.images, self.images / "image_2"]
        found = next(filter(None, (find_image(folder, key) for folder in folders)), None)
        loaded = load_image(found, key, where)
        if isinstance(loaded, Reject):
            return loaded
        data, (width, height) = loaded
        K, shift = projection_of(self.path / "calib" / f"{key}.txt", "P2")
        lines = list(text_lines(Path(where), "labels"))
        objects = [_object(line, shift, width, height, place) for place, line in lines]
        if objects and not any(one.solid for one in objects):
            first = next((place for place, line in lines if not line.startswith("DontCare")), where)
            raise BadFrame(
                first, "no-3d-box", "the labels have boxes in the image only; needed are sizes and places"
            )
        return sample_of(key, data, objects, camera(K, width, height), dataset="kitti", domain="outdoor")


def projection_of(path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """K and shift of :func:`split_projection` for a camera of a calibration file.

    Raises:
        BadFrame: the file does not exist, or has no projection of 3 x 4 numbers.
    """
    matrix = calibrated(read_calibration(path), path, name, (3, 4))
    intrinsics(matrix, str(path))
    return split_projection(matrix)


def calibrated(
    values: Mapping[str, tuple[str, list[str]]], path: Path, name: str, shape: tuple[int, ...]
) -> np.ndarray:
    """The numbers of a line of a calibration.

    Raises:
        BadFrame: there is no such line, or it has more or fewer numbers.
    """
    if name not in values:
        listed = ", ".join(list(values)[:8]) or "nothing"
        raise BadFrame(str(path), "no-calibration", f"no line {name}:, only {listed}")
    where, texts = values[name]
    if len(texts) != math.prod(shape):
        raise BadFrame(
            where, "bad-calibration", f"{name} has {len(texts)} numbers instead of {math.prod(shape)}"
        )
    return np.array(numbers(texts, where)).reshape(shape)


def split_projection(P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K, and the origin of the reference camera as seen from this camera. Labels are relative to camera 0."""
    K = P[:, :3]
    return K, np.linalg.solve(K, P[:, 3])


def read_calibration(path: Path) -> dict[str, tuple[str, list[str]]]:
    """The lines "NAME: values" of a calibration file: place and values by name.

    Raises:
        BadFrame: the file does not exist or is unreadable.
    """
    values = {}
    for where, line in text_lines(path, "calibration"):
        name, _, texts = line.partition(":")
        values[name.strip()] = where, texts.split()
    return values


def _object(line: str, shift: np.ndarray, width: int, height: int, where: str) -> SceneObject:
    fields = line.split()
    if wrong := _odd(fields):
        raise BadFrame(where, "bad-label", f"{wrong}: {line[:60]!r}")
    values = numbers(fields[1:15], where)
    box = unit_box(values[3:7], width, height)
    if fields[0] == "DontCare":
        return SceneObject(label=UNLABELLED, box=box)
    tall, wide, long = values[7:10]
    # The location is the middle of the bottom, and y points down.
    centre = np.array(values[10:13]) - np.array([0, tall / 2, 0]) + shift
    # Labels of the image alone fill these with 0, -1 or -1000.
    solid = min(tall, wide, long) > 0 and values[12] > -_NOWHERE
    return SceneObject(
        label=plain_label(fields[0]),
        box=box,
        solid=box3d(centre, (wide, tall, long), rotation_about(1, values[13])) if solid else None,
        truncation=values[0] if values[0] >= 0 else None,
        visibility=OCCLUSION.get(int(values[1])),
    )


def _odd(fields: Sequence[str]) -> str:
    """The reason why a line is no KITTI object label; "" where it is one: 15 fields, or 16 with a score."""
    if len(fields) in (17, 18) and fields[0].isdecimal() and fields[1].lstrip("-").isdecimal():
        return (
            "a label of KITTI's tracking (frame, track, then the object), which is not read; take the two off"
        )
    if len(fields) > 1 and fields[1][0].isalpha() and fields[1].lower() not in _NO_NUMBERS:
        return f"a name of several words; write {fields[0]}_{fields[1]}"
    return "" if len(fields) in (15, 16) else f"{len(fields)} fields instead of 15"
