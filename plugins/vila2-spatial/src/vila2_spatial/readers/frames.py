"""What readers share: frames of reference, labels, images, and the sample made of them."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from vila2.plugin import (
    Box3D,
    Camera,
    DataError,
    Evidence,
    Reject,
    Sample,
    SceneObject,
    decode_image,
    image_header,
)

#: The turn from a solid's own axes here (X = length, Y down, Z = width) to those of most data sets: x forward
#: (length), y left (width), z up (height). Columns are the own axes; the determinant is 1.
FROM_UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


#: Data sets by their domain: those of Omni3D and of this package.
_DOMAINS = {
    "kitti": "outdoor",
    "nuscenes": "outdoor",
    "sunrgbd": "indoor",
    "arkitscenes": "indoor",
    "hypersim": "indoor",
    "objectron": "tabletop",
}


def domain_of_dataset(name: str) -> str | None:
    """The domain of a data set with this name ("KITTI", "Omni3D_SUNRGBD"); None where it is unknown.

    Domains are "outdoor", "indoor" and "tabletop".
    """
    plain = name.lower().replace("omni3d", "").lstrip("_-")
    return next((domain for start, domain in _DOMAINS.items() if plain.startswith(start)), None)


def box3d(centre: Any, dimensions: Any, rotation: Any) -> Box3D:
    """A solid from arrays: [3] meters, [3] width, height, length, [3, 3] object to camera."""
    return Box3D(centre=_floats(centre), dimensions=_floats(dimensions), rotation=_rows(rotation))


def camera(K: Any, width: float, height: float) -> Camera:
    """A camera from an array [3, 3]."""
    return Camera(K=_rows(K), width=width, height=height)


def upright_box(centre: Any, length: float, width: float, height: float, axes: Any) -> Box3D:
    """A solid whose own x is forward (length), y left (width) and z up (height).

    Args:
        centre: center in meters, camera frame.
        length, width, height: sizes in meters.
        axes: matrix [3, 3] whose columns are those axes in the camera frame.
    """
    return box3d(centre, (width, height, length), np.asarray(axes) @ FROM_UPRIGHT)


def _floats(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third


def _rows(matrix: Any) -> tuple[tuple[float, float, float], ...]:
    return tuple(_floats(row) for row in matrix)


def rotation_about(axis: int, angle: float) -> np.ndarray:
    """A right-handed rotation by ``angle`` radians about x, y or z (0, 1, 2), [3, 3]."""
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = [n for n in range(3) if n != axis]
    turn = np.eye(3)
    turn[a, a] = turn[b, b] = cos
    turn[a, b], turn[b, a] = (-sin, sin) if axis != 1 else (sin, -sin)
    return turn


def rotation_of_quaternion(w: float, x: float, y: float, z: float) -> np.ndarray:
    """The rotation [3, 3] of a unit quaternion, scalar first."""
    w, x, y, z = np.array([w, x, y, z]) / np.linalg.norm([w, x, y, z])
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def rotation_of_vector(vector: Any) -> np.ndarray:
    """The rotation [3, 3] of an axis times an angle in radians, [3] (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle == 0:
        return np.eye(3)
    x, y, z = np.asarray(vector) / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn: np.ndarray = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turn


def plain_label(name: str) -> str:
    """A category as words in lower case: "night_stand" gives "night stand", "TVMonitor" "tv monitor"."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return " ".join(re.split(r"[\s_\-./]+", spaced.strip().lower())).strip() or "unlabelled"


def unit_box(
    pixels: Sequence[float], width: float, height: float
) -> tuple[float, float, float, float] | None:
    """Pixel corners as a unit box within the image; None for a box outside of the image."""
    x0, y0, x1, y1 = (float(value) for value in pixels)
    box = (max(x0 / width, 0.0), max(y0 / height, 0.0), min(x1 / width, 1.0), min(y1 / height, 1.0))
    return box if box[0] < box[2] and box[1] < box[3] else None


def find_image(folder: Path, stem: str) -> Path | None:
    """The image file with that name in a folder, whatever its suffix."""
    for suffix in (".png", ".jpg", ".jpeg"):
        if (path := folder / f"{stem}{suffix}").is_file():
            return path
    return None


def load_image(path: Path | None, key: str, where: str) -> tuple[bytes, tuple[int, int]] | Reject:
    """An image file's bytes and its width and height in pixels."""
    if path is None:
        return Reject(where, key, "no-image", "no image of that name")
    try:
        data = path.read_bytes()
        header = image_header(data)
        if header is not None and header[1] != 1:
            detail = (
                f"{path.name} is turned by its EXIF orientation {header[1]}, "
                "its camera is not: save it upright"
            )
            return Reject(where, key, "rotated-image", detail)
        return data, decode_image(data, where=str(path)).size
    except OSError as error:
        return Reject(where, key, "unreadable-file", str(error))
    except DataError as error:
        return Reject(where, key, "bad-image", error.what)


def sample_of(
    key: str,
    image: bytes,
    objects: Sequence[SceneObject],
    seen_by: Camera,
    *,
    dataset: str,
    domain: str | None,
    image_name: str | None = None,
) -> Sample:
    """A scene as a sample.

    Args:
        key, image: key and image of the sample.
        objects: labeled objects; there may be more in the image.
        seen_by: camera of the image.
        dataset, domain: values for its ``meta``.
        image_name: name that samples of one image share; by default the key.
    """
    evidence = Evidence(objects=tuple(objects), camera=seen_by)
    meta = {"dataset": dataset, "image": image_name or key} | ({"domain": domain} if domain else {})
    meta |= evidence.to_meta()
    return Sample(key, (image,), (), meta)


def quarter_turns(up: np.ndarray) -> int:
    """The number of clockwise quarter turns of the image that bring the direction ``up`` to its top.

    ``up`` [3] is in the camera frame.
    """
    x, y = float(up[0]), float(up[1])
    if abs(x) > abs(y):
        return 1 if x < 0 else 3
    return 0 if y < 0 else 2


def turned(
    image: bytes, K: np.ndarray, size: tuple[int, int], turns: int
) -> tuple[bytes, np.ndarray, np.ndarray, tuple[int, int]]:
    """An image turned clockwise by quarters.

    Args:
        image: encoded image.
        K: camera matrix [3, 3] in pixels.
        size: width and height.
        turns: number of quarters, 0 to 3.

    Returns:
        The image, its K, the turn of the camera frame [3, 3] to apply to every solid, and its size.
    """
    frame = np.eye(3)
    for _ in range(turns):
        quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        pixels = np.array([[0.0, -1.0, size[1]], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        K, frame, size = pixels @ K @ quarter.T, quarter @ frame, (size[1], size[0])
    if turns:
        picture = decode_image(image, where="image").rotate(-90 * turns, expand=True)
        image = encoded(picture, like=image)
    return image, K, frame, size


def encoded(picture: Any, like: bytes) -> bytes:
    """A Pillow image as PNG where ``like`` is one, else as JPEG."""
    file = io.BytesIO()
    if like.startswith(b"\x89PNG"):
        picture.save(file, "PNG")
    else:
        picture.save(file, "JPEG", quality=95)
    return file.getvalue()
