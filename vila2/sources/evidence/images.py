"""The images of evidence: their bytes and sizes, keys, and pixel boxes as unit boxes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

from vila2.data.boxes import Box, Point
from vila2.data.evidence import Evidence
from vila2.data.sample import ImagePart, Sample, user
from vila2.data.shards import Reject
from vila2.sources.rows import Keys, read_image, without_suffix

_TRANSPOSING = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
_ORIENTATION = 274


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of a row.

    Attributes:
        key: of the row's sample.
        name: of the image, as the row gives it.
        data: the encoded file.
        width, height: that the row's pixel coordinates refer to.
    """

    key: str
    name: str
    data: bytes
    width: float
    height: float

    def sample(self, evidence: Evidence, meta: Mapping[str, Any]) -> Sample:
        """A sample that shows the image and carries the evidence."""
        about = {**meta, "image": self.name, **evidence.to_meta()}
        return Sample(self.key, (self.data,), (user(ImagePart()),), about)


@dataclass(slots=True)
class Images:
    """Where a file's images lie.

    Attributes:
        root: the folder that their names are relative to.
        beside: whether to look in ``root/images`` too.
    """

    root: Path
    beside: bool
    keys: Keys = field(default_factory=Keys)

    def open(self, fields: Mapping[str, Any], *, where: str) -> Picture | Reject:
        """The image that a row names in ``image`` (or ``file_name``, ``file_path``)."""
        name = next((fields[key] for key in ("image", "file_name", "file_path") if fields.get(key)), None)
        identity = fields.get("id")
        shown = str(identity) if identity not in (None, "") else str(name or Path(where).name)
        key = self.keys.key(shown if identity not in (None, "") else without_suffix(shown), dict(fields))
        root = self.root
        if self.beside and isinstance(name, str) and not (root / name).is_file():
            root = root / "images"
        data = read_image(root, name, where=where, key=key)
        if isinstance(data, Reject):
            return data
        size = _size(data)
        if size is None:
            return Reject(where, key, "corrupt-image", f"{name} is no image that can be read")
        given = (fields.get("width"), fields.get("height"))
        if not all(is_number(side) and side > 0 for side in given):
            return Picture(key, name, data, *size)
        if given == (size[1], size[0]) and size[0] != size[1]:
            detail = f"{name} is {size[0]}x{size[1]}, its coordinates are for {given[0]}x{given[1]}"
            return Reject(where, key, "rotated-image", detail)
        return Picture(key, name, data, *map(float, given))


def is_number(value: Any) -> bool:
    """Whether a value of a row is a finite number."""
    return isinstance(value, Real) and not isinstance(value, bool) and abs(value) < float("inf")


def numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """A list of so many numbers, None where it is anything else."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != count:
        return None
    return tuple(map(float, value)) if all(map(is_number, value)) else None


def unit_point(x: float, y: float, picture: Picture) -> Point:
    """A point in pixels as a point of the unit square; one outside of the image is moved to its edge."""
    return min(max(x / picture.width, 0.0), 1.0), min(max(y / picture.height, 0.0), 1.0)


def unit_box(x0: float, y0: float, x1: float, y1: float, picture: Picture) -> Box | None:
    """A box in pixels, cut to the image; None where nothing of it is left."""
    box = (*unit_point(x0, y0, picture), *unit_point(x1, y1, picture))
    return box if box[0] < box[2] and box[1] < box[3] else None


def _size(data: bytes) -> tuple[int, int] | None:
    """Width and height as the image is shown, from its header."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            turned = image.getexif().get(_ORIENTATION) in _TRANSPOSING
            return (image.height, image.width) if turned else image.size
    except Exception:  # a damaged file makes decoders raise nearly anything
        return None
