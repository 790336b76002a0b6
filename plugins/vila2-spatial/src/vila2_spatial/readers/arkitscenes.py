"""ARKitScenes 3DOD: a video's ``*_3dod_annotation.json`` with ``*_frames/lowres_wide``."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from vila2.plugin import Reject, Sample, SceneObject

from vila2_spatial.geometry import projected_box
from vila2_spatial.readers.frames import (
    camera,
    load_image,
    plain_label,
    quarter_turns,
    rotation_of_vector,
    sample_of,
    turned,
    upright_box,
)
from vila2_spatial.readers.keyed import KeyedReader
from vila2_spatial.readers.reading import (
    BadFrame,
    array,
    intrinsics,
    json_of,
    numbers,
    objects_in,
    text_lines,
)

#: Largest gap between a frame and its pose, in seconds (the same as in Apple's own loader).
_SLACK = 0.005


class ArkitScenes(KeyedReader):
    """Folders of videos, somewhere below the path."""

    @staticmethod
    def fits(path: Path) -> bool:
        return path.is_dir() and any(_annotations(path))

    def keys(self) -> Sequence[str]:
        return [
            f"{file.parent.relative_to(self.path)}/{image.stem}".removeprefix("./")
            for file in sorted(_annotations(self.path))
            for image in sorted((file.parent / f"{file.parent.name}_frames" / "lowres_wide").glob("*.png"))
        ]

    def lost(self) -> Sequence[Reject]:
        folders = (
            (file, file.parent / f"{file.parent.name}_frames" / "lowres_wide")
            for file in _annotations(self.path)
        )
        return [
            Reject(str(file), file.parent.name, "no-image", f"{images}: no frames")
            for file, images in folders
            if next(images.glob("*.png"), None) is None
        ]

    def place(self, key: str) -> str:
        folder = (self.path / key).parent
        return f"{folder / f'{folder.name}_3dod_annotation.json'}#{key.rpartition('/')[2]}"

    def scene(self, key: str) -> Sample | Reject:
        folder, stem = (self.path / key).parent, key.rpartition("/")[2]
        video, _, stamp = stem.rpartition("_")
        frames = folder / f"{video}_frames"
        loaded = load_image(frames / "lowres_wide" / f"{stem}.png", key, str(folder))
        if isinstance(loaded, Reject):
            return loaded
        data, size = loaded
        K = _intrinsics(frames / "lowres_wide_intrinsics", video, float(stamp))
        if K is None:
            return Reject(str(frames), key, "no-intrinsics", "no .pincam within a millisecond")
        pose = _pose(frames / "lowres_wide.traj", float(stamp))
        if pose is None:
            return Reject(str(frames), key, "no-pose", f"no pose within {_SLACK} seconds")
        turn, shift = pose
        # People held the phone in any way. The image is turned so that up in the world is up in it.
        data, K, rotated, size = turned(data, K, size, quarter_turns(turn @ [0.0, 0.0, 1.0]))
        turn, shift = rotated @ turn, rotated @ shift
        seen_by = camera(K, *size)
        found = _objects(folder / f"{video}_3dod_annotation.json", turn, shift)
        objects = [one for one in found if one.solid and projected_box(one.solid, seen_by)]
        return sample_of(key, data, objects, seen_by, dataset="arkitscenes", domain="indoor")


def _annotations(path: Path) -> list[Path]:
    return [
        file for depth in ("", "*/", "*/*/", "*/*/*/") for file in path.glob(f"{depth}*_3dod_annotation.json")
    ]


def _objects(file: Path, turn: np.ndarray, shift: np.ndarray) -> list[SceneObject]:
    content = json_of(file, "fetch the file again")
    objects = []
    for where, row in objects_in(
        content.get("data") if isinstance(content, Mapping) else content, f"{file}: data"
    ):
        segments = row.get("segments")
        obb = segments.get("obbAligned") if isinstance(segments, Mapping) else None
        if not isinstance(row.get("label"), str) or not isinstance(obb, Mapping):
            raise BadFrame(where, "bad-annotation", "no label with segments.obbAligned, as 3DOD has")
        # The rows are the axes of the box in the world. The lengths are full lengths, not halves.
        axes = turn @ array(obb.get("normalizedAxes"), (9,), where, "normalizedAxes").reshape(3, 3).T
        centre = turn @ array(obb.get("centroid"), (3,), where, "centroid") + shift
        length, width, height = map(float, array(obb.get("axesLengths"), (3,), where, "axesLengths"))
        solid = upright_box(centre, length, width, height, axes)
        objects.append(SceneObject(label=plain_label(row["label"]), solid=solid))
    return objects


def _intrinsics(folder: Path, video: str, stamp: float) -> np.ndarray | None:
    """K of a frame. The time of its file may differ by a millisecond."""
    for moment in (stamp, stamp - 0.001, stamp + 0.001):
        file = folder / f"{video}_{moment:.3f}.pincam"
        if file.is_file():
            values = numbers(
                [text for _, line in text_lines(file, "intrinsics") for text in line.split()], str(file)
            )
            if len(values) != 6:
                raise BadFrame(str(file), "bad-camera", f"{len(values)} numbers instead of 6")
            _, _, fx, fy, cx, cy = values
            return intrinsics(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), str(file))
    return None


def _pose(file: Path, stamp: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Turn [3, 3] and shift [3] from the world to the camera at a moment."""
    rows = _trajectory(file)
    place = bisect_left([row[0] for row in rows], stamp)
    near = [row for row in rows[max(place - 1, 0) : place + 1] if abs(row[0] - stamp) <= _SLACK]
    if not near:
        return None
    row = min(near, key=lambda row: abs(row[0] - stamp))
    return rotation_of_vector(row[1:4]), np.array(row[4:7])


@lru_cache(maxsize=8)
def _trajectory(file: Path) -> tuple[tuple[float, ...], ...]:
    rows = []
    for where, line in text_lines(file, "trajectory"):
        rows.append(tuple(numbers(line.split(), where)))
        if len(rows[-1]) != 7:
            raise BadFrame(where, "bad-pose", f"{len(rows[-1])} numbers instead of 7")
    return tuple(sorted(rows))
