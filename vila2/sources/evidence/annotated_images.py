"""The images of evidence: their bytes and sizes, keys, and pixel boxes as unit boxes."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

from vila2.data.boxes import Box, Point
from vila2.data.evidence import Evidence
from vila2.data.sample import ImagePart, Sample, user
from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources.rows import Keys, read_image, without_suffix

_ORIENTATION = 274  # the EXIF tag
_TRANSPOSING = frozenset({5, 6, 7, 8})  # orientations that swap width and height
_PNG_ROTATIONS = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")
#: From a point of the stored image to the same point of the image as it is shown, by EXIF orientation.
_SHOWN: Mapping[int, Callable[[float, float], Point]] = {
    1: lambda x, y: (x, y),
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}
_ALIKE = 0.02  # of the aspect ratio: a small copy is rounded to whole pixels
_BEYOND = 1.01  # how far annotations reach beyond an image's edge, as a share of its side

_LONGEST_NAME = 500  # that is one, and no image as text

Size = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """What pixel coordinates refer to.

    Attributes:
        width, height: in pixels.
        orientation: the EXIF orientation that leads from there to the image as it is shown; 1 where they are for the
            image as it is shown.
    """

    width: float
    height: float
    orientation: int = 1

    def point(self, x: float, y: float) -> Point:
        """A pixel as a point of the unit square of the image as it is shown; one outside is moved to the edge."""
        x, y = (min(max(value, 0.0), 1.0) for value in (x / self.width, y / self.height))
        return _SHOWN[self.orientation](x, y)

    def box(self, x0: float, y0: float, x1: float, y1: float) -> Box | None:
        """A box in pixels as a unit box of the image as it is shown, cut to it; None where nothing is left."""
        if not (x0 < x1 and y0 < y1):
            return None
        (ax, ay), (bx, by) = self.point(x0, y0), self.point(x1, y1)
        box = (min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))
        return box if box[0] < box[2] and box[1] < box[3] else None


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of a row.

    Attributes:
        key: of the row's sample.
        name: of the image, as the row gives it.
        data: the encoded file.
        frame: what the row's pixel coordinates refer to.
    """

    key: str
    name: str
    data: bytes
    frame: Frame

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

    def open(self, fields: Mapping[str, Any], *, where: str, reach: Size | None = None) -> Picture | Reject:
        """The image that a row names in ``image`` (or ``file_name``, ``file_path``), or LVIS in ``coco_url``.

        Args:
            fields: of the row.
            where: of the row, for the reject.
            reach: how far to the right and down the row's pixel coordinates go; None where it has none.
        """
        name = next((fields[key] for key in ("image", "file_name", "file_path") if fields.get(key)), None)
        name = self._found(name if name is not None else self._by_address(fields.get("coco_url")))
        called = _called(name) or Path(where).name
        identity = fields.get("id")
        own = (
            isinstance(identity, str | int | float) and identity != "" and len(str(identity)) <= _LONGEST_NAME
        )
        key = self.keys.key(str(identity) if own else without_suffix(called), dict(fields))
        data = read_image(self._root_of(name), name, where=where, key=key)
        if isinstance(data, Reject):
            return data
        given = given_size(fields)
        if isinstance(given, str):
            return Reject(where, key, "bad-size", given)
        frame = frame_of(data, called, given, reach)
        return Picture(key, called, data, frame) if isinstance(frame, Frame) else Reject(where, key, *frame)

    def _root_of(self, name: Any) -> Path:
        return self.root / "images" if self.beside and not self._lies_in(self.root, name) else self.root

    def _found(self, name: Any) -> Any:
        """The name, with slashes where only so a file is found: tools on Windows write the others."""
        if not isinstance(name, str) or "\\" not in name or self._lies_in(self._root_of(name), name):
            return name
        slashed = name.replace("\\", "/")
        return slashed if self._lies_in(self._root_of(slashed), slashed) else name

    def _by_address(self, address: Any) -> str | None:
        """LVIS names an image by its address alone, ``http://images.cocodataset.org/val2017/000000397133.jpg``."""
        if not isinstance(address, str) or "/" not in address:
            return None
        folder, file = address.split("/")[-2:]
        names = [f"{folder}/{file}", file]
        roots = [self.root, self.root / "images"] if self.beside else [self.root]
        return next((name for name in names if any(self._lies_in(root, name) for root in roots)), names[0])

    @staticmethod
    def _lies_in(root: Path, name: Any) -> bool:
        try:
            return isinstance(name, str) and (root / name).is_file()
        except (OSError, ValueError):  # too long a name, or one with a NUL
            return False


def check_image_root(folder: Path | str | None) -> None:
    """Looks whether the folder of images that somebody names is there.

    Raises:
        DataError: it is not.
    """
    if folder and not Path(folder).is_dir():
        hint = "give the folder that images' names are relative to"
        raise DataError(f"image_root: {folder} is no folder", hint=hint)


def _called(name: Any) -> str:
    """What an image is called; "" where its content stands in the place of a name."""
    name = name.get("path") if isinstance(name, Mapping) else name
    return (
        name if isinstance(name, str) and len(name) <= _LONGEST_NAME and not name.startswith("data:") else ""
    )


def frame_of(
    data: bytes, name: str, given: Size | None = None, reach: Size | None = None
) -> Frame | tuple[str, str]:
    """What the pixel coordinates of an image refer to: the image as it is stored, or as its EXIF orientation shows it.

    Both are read by other tools. The size that the annotations give tells which, or else how far their coordinates
    reach; where neither does, or the size fits neither way, the coordinates cannot be used.

    Args:
        data: the encoded image.
        name: of the image, for the detail.
        given: width and height that the annotations say the image has, None where they do not.
        reach: how far to the right and down the coordinates go; None where there are none.

    Returns:
        The frame, or reason and detail of a reject.
    """
    header = image_header(data)
    if header is None:
        return "corrupt-image", f"{name} is no image that can be read"
    stored, orientation = header
    shown = (stored[1], stored[0]) if orientation in _TRANSPOSING else stored
    fitting = given is None or any(same_shape(given, size) for size in (shown, stored))
    if given is not None and not fitting and same_shape((given[1], given[0]), shown):
        return "rotated-image", f"{name} is {_by(shown)}, its coordinates are for {_by(given)}"
    if orientation == 1 or reach is None:
        return Frame(*(given or shown))
    what = f"{name} is turned or mirrored by its EXIF orientation {orientation}"
    if orientation not in _TRANSPOSING:
        return "rotated-image", f"{what}, and its coordinates may be for either: save it as it is to be seen"
    ways: tuple[tuple[int, Size], ...] = ((1, shown), (orientation, stored))
    fits = {
        way: given or size
        for way, size in ways
        if (same_shape(given, size) if given else all(map(_within, reach, size)))
    }
    if len(fits) == 1:
        ((way, frame),) = fits.items()
        return Frame(*frame, way)
    told = f"their size {_by(given)}" if given else "no size given"
    return "rotated-image", f"{what}; its coordinates ({told}) may be for {_by(stored)} or {_by(shown)}"


def _within(reach: float, side: float) -> bool:
    return reach <= side * _BEYOND


def _by(size: Size) -> str:
    return "x".join(f"{side:g}" for side in size)


def same_shape(size: Size, other: Size) -> bool:
    """Whether two sizes have one aspect ratio, so that unit boxes of one fit the other."""
    return abs(size[0] / size[1] * (other[1] / other[0]) - 1) <= _ALIKE


def given_size(fields: Mapping[str, Any]) -> Size | str | None:
    """Width and height that a row gives, None where it gives none (or 0, or -1); what is wrong with them as text."""
    sides: list[float] = []
    for name in ("width", "height"):
        value = fields.get(name)
        if isinstance(value, str) and re.fullmatch(r"\s*\d{1,9}(\.\d+)?\s*", value):
            value = float(value)
        if value is None or value == "":
            value = 0
        if not is_number(value):
            return f"{name} is {short(value)}, no number of pixels"
        sides.append(float(value))
    return (sides[0], sides[1]) if min(sides) > 0 else None


def is_number(value: Any) -> bool:
    """Whether a value of a row is a finite number, not too large for a float."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return abs(float(value)) < float("inf")
    except OverflowError:  # hundreds of digits
        return False


def numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """A list of so many numbers, None where it is anything else."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or len(value) != count:
        return None
    return tuple(map(float, value)) if all(map(is_number, value)) else None


def within_a_pixel(values: Sequence[float]) -> bool:
    """Whether coordinates lie within 0..1: parts of an image where pixels are meant."""
    return all(0 <= value <= 1 for value in values)


def short(value: Any, limit: int = 60) -> str:
    """A value of a row for a reject's detail, on one line and not long."""
    shown = repr(value[:limit] if isinstance(value, str | bytes | list) else value)
    return shown if len(shown) <= limit else shown[:limit] + "..."


def image_header(data: bytes) -> tuple[tuple[int, int], int] | None:
    """Size as it is stored and EXIF orientation (1 to 8) of an image, from its header; None where it is none."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            # To look for a rotation in a PNG, Pillow decodes all of it.
            plain = image.format == "PNG" and not any(mark in data for mark in _PNG_ROTATIONS)
            orientation = 1 if plain else image.getexif().get(_ORIENTATION, 1)
            return image.size, orientation if orientation in _SHOWN else 1
    except Exception:  # a damaged file makes decoders raise nearly anything
        return None
