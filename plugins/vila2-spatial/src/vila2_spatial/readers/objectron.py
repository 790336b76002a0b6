"""Objectron: TFRecord files of ``tf.train.Example`` (``records_shuffled``), read without TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from vila2.plugin import DataError, Reject, Sample, SceneObject, decode_image

from vila2_spatial.readers.frames import box3d, camera, plain_label, sample_of
from vila2_spatial.readers.keyed import KeyedReader
from vila2_spatial.readers.tf_example import parse_example

#: Frames are stored upright while the camera lay on its side: in the camera's frame, right in the image is
#: +y, down is +x and forward is -z.
_UPRIGHT = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
#: How far, in pixels, a record's 3D points may be from its own 2D points under the best camera.
_TOLERANCE = 2.0


class Objectron(KeyedReader):
    """A TFRecord file, or a folder of them (any name with "-of-", or ending in ``.tfrecord``)."""

    @staticmethod
    def fits(path: Path) -> bool:
        return any(_files(path))

    @cached_property
    def _records(self) -> dict[str, tuple[Path, int, int]]:
        records = {}
        self._cut: list[Reject] = []
        for file in _files(self.path):
            try:
                for number, (offset, length) in enumerate(_spans(file)):
                    records[f"{file.name}-{number:06d}"] = file, offset, length
            except DataError as error:
                self._cut.append(Reject(str(file), file.name, "cut-file", error.what))
        return records

    def lost(self) -> Sequence[Reject]:
        _ = self._records
        return self._cut

    def place(self, key: str) -> str:
        file, offset, _ = self._records[key]
        return f"{file}@{offset}"

    def keys(self) -> Sequence[str]:
        return list(self._records)

    def scene(self, key: str) -> Sample | Reject:
        file, offset, length = self._records[key]
        where = self.place(key)
        with file.open("rb") as handle:
            handle.seek(offset)
            record = parse_example(handle.read(length), where)
        try:
            data = record["image/encoded"][0]
            size = decode_image(data, where=where).size
            points = np.array(record["point_3d"], dtype=float).reshape(-1, 9, 3) @ _UPRIGHT.T
            pixels = np.array(record["point_2d"], dtype=float).reshape(-1, 9, 3)[..., :2] * size
            names = [name.decode() for name in record["object/name"]]
        except (KeyError, IndexError, ValueError) as error:
            return Reject(where, key, "bad-record", repr(error))
        except DataError as error:
            return Reject(where, key, "bad-image", error.what)
        K, miss = _fitted(points.reshape(-1, 3), pixels.reshape(-1, 2))
        if miss > _TOLERANCE:
            return Reject(where, key, "no-camera", f"3D and 2D points differ by {miss:.1f} pixels")
        shown = record.get("object/visibility") or [None] * len(names)
        objects = [_object(*one) for one in zip(names, points, shown, strict=True)]
        return sample_of(key, data, objects, camera(K, *size), dataset="objectron", domain="tabletop")


def _object(name: str, keypoints: np.ndarray, shown: Any) -> SceneObject:
    """Keypoints [9, 3]: the center, then the corners with x slowest and z fastest, each from - to +."""
    edges = np.stack(
        [keypoints[5] - keypoints[1], keypoints[3] - keypoints[1], keypoints[2] - keypoints[1]], axis=1
    )
    long, tall, wide = sizes = np.linalg.norm(edges, axis=0)
    return SceneObject(
        # A name is the category, in some files with the instance after it: "chair/batch-3/21/0".
        label=plain_label(name.split("/")[0]),
        solid=box3d(keypoints[0], (wide, tall, long), edges / sizes),
        visibility=None if shown is None else float(shown),
    )


def _fitted(points: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """The camera that takes the points [n, 3] to the pixels [n, 2], and the largest miss in pixels.

    The record's own matrices describe the sensor as it lay. Its points are unambiguous.
    """
    K, miss = np.eye(3), 0.0
    for axis in range(2):
        slopes = np.stack([points[:, axis] / points[:, 2], np.ones(len(points))], axis=1)
        (focal, centre), *_ = np.linalg.lstsq(slopes, pixels[:, axis], rcond=None)
        K[axis, axis], K[axis, 2] = focal, centre
        miss = max(miss, float(np.abs(slopes @ [focal, centre] - pixels[:, axis]).max()))
    return K, miss if K[0, 0] > 0 and K[1, 1] > 0 else float("inf")


def _files(path: Path) -> list[Path]:
    files = [path] if path.is_file() else sorted(path.iterdir()) if path.is_dir() else []
    return [file for file in files if file.is_file() and ("-of-" in file.name or file.suffix == ".tfrecord")]


def _spans(file: Path) -> Iterator[tuple[int, int]]:
    """Offset and length of every record: a length, its checksum, the content, its checksum."""
    size = file.stat().st_size
    with file.open("rb") as handle:
        offset = 0
        while offset < size:
            handle.seek(offset)
            head = handle.read(12)
            length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else size
            if offset + 16 + length > size:
                raise DataError(f"{file}: ends within a record at byte {offset}", hint="fetch the file again")
            yield offset + 12, length
            offset += 16 + length
