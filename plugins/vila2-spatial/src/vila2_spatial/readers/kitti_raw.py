"""KITTI raw drives: ``tracklet_labels.xml`` with the day's calibration, and the images of camera 2."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from vila2.plugin import DataError, Reject, Sample, SceneObject

from vila2_spatial.readers.frames import (
    camera,
    find_image,
    load_image,
    plain_label,
    rotation_about,
    sample_of,
    upright_box,
)
from vila2_spatial.readers.keyed import KeyedReader
from vila2_spatial.readers.kitti import OCCLUSION, calibrated, projection_of, read_calibration
from vila2_spatial.readers.reading import BadFrame, numbers

#: A tracklet's pose outside of the image; labeled all the same.
_OUT_OF_IMAGE = 2


class KittiRaw(KeyedReader):
    """A drive's folder with ``tracklet_labels.xml``.

    The calibration lies there or in the folder above (the day).
    """

    takes_images = True

    @staticmethod
    def fits(path: Path) -> bool:
        return (path / "tracklet_labels.xml").is_file()

    @cached_property
    def _poses(self) -> dict[int, list[tuple[ElementTree.Element, ElementTree.Element]]]:
        """Tracklets and poses of all labeled things, by frame."""
        file = self.path / "tracklet_labels.xml"
        frames: dict[int, list[tuple[ElementTree.Element, ElementTree.Element]]] = defaultdict(list)
        try:
            for tracklet in _child(ElementTree.parse(file).getroot(), "tracklets").findall("item"):
                first = int(_child(tracklet, "first_frame").text or "")
                for number, pose in enumerate(_child(tracklet, "poses").findall("item")):
                    frames[first + number].append((tracklet, pose))
        except (ElementTree.ParseError, OSError, ValueError) as error:
            raise DataError(f"{file}: no tracklets ({error})", hint="fetch the file again") from error
        return frames

    @cached_property
    def _calibration(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Camera 2: K, the turn and shift from the laser's frame, and the width and height in pixels."""
        folder = self.path if (self.path / "calib_cam_to_cam.txt").is_file() else self.path.parent
        files = [folder / f"calib_{name}.txt" for name in ("cam_to_cam", "velo_to_cam")]
        try:
            cameras, laser = ((read_calibration(file), file) for file in files)
            K, shift = projection_of(files[0], "P_rect_02")
            rectify, size = calibrated(*cameras, "R_rect_00", (3, 3)), calibrated(*cameras, "S_rect_02", (2,))
            turn, moved = calibrated(*laser, "R", (3, 3)), calibrated(*laser, "T", (3,))
        except BadFrame as error:  # all frames share this calibration
            hint = "the calibration of the drive's day belongs beside its tracklets, or a folder above"
            raise DataError(str(error), hint=hint) from error
        return K, rectify @ turn, rectify @ moved + shift, size

    def keys(self) -> Sequence[str]:
        """The keys of all frames with labels.

        Raises:
            DataError: the calibration or the tracklets are unreadable.
        """
        _ = self._calibration
        return [f"{frame:010d}" for frame in sorted(self._poses)]

    def objects(self, key: str) -> list[SceneObject]:
        """The objects of a frame, from the tracklets."""
        _, turn, shift, _ = self._calibration
        return [_object(*labelled, turn, shift, self.place(key)) for labelled in self._poses[int(key)]]

    def place(self, key: str) -> str:
        return f"{self.path / 'tracklet_labels.xml'}#{key}"

    def scene(self, key: str) -> Sample | Reject:
        where = self.place(key)
        folder = self.images or self.path
        folder = folder / "image_02" / "data" if (folder / "image_02").is_dir() else folder
        loaded = load_image(find_image(folder, key), key, where)
        if isinstance(loaded, Reject):
            return loaded
        data, (width, height) = loaded
        K, _, _, size = self._calibration
        if (width, height) != tuple(size):
            return Reject(where, key, "wrong-size", f"{width}x{height} pixels, the calibration says {size}")
        seen_by = camera(K, width, height)
        return sample_of(key, data, self.objects(key), seen_by, dataset="kitti-raw", domain="outdoor")


def _object(
    tracklet: ElementTree.Element, pose: ElementTree.Element, turn: np.ndarray, shift: np.ndarray, where: str
) -> SceneObject:
    tall, wide, long = numbers([tracklet.findtext(name, "") for name in "hwl"], where)
    *place, angle = numbers([pose.findtext(name, "") for name in ("tx", "ty", "tz", "rz")], where)
    bottom = np.array(place)
    axes = turn @ rotation_about(2, angle)
    centre = turn @ (bottom + np.array([0, 0, tall / 2])) + shift
    truncation, occlusion = numbers(
        [pose.findtext(name, "-1") for name in ("truncation", "occlusion")], where
    )
    outside = truncation == _OUT_OF_IMAGE
    return SceneObject(
        label=plain_label(tracklet.findtext("objectType", "")),
        solid=upright_box(centre, long, wide, tall, axes),
        truncation=1.0 if outside else None,
        visibility=OCCLUSION.get(int(occlusion)),
    )


def _child(element: ElementTree.Element, name: str) -> ElementTree.Element:
    """The child of that name.

    Raises:
        ValueError: there is none.
    """
    child = element.find(name)
    if child is None:
        raise ValueError(f"<{element.tag}> has no <{name}>")
    return child
