"""Images with annotations: how they are found, their sizes and keys, and unit boxes of pixel boxes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any, TypeGuard

from vila2.data.boxes import Box, Point
from vila2.data.evidence import Evidence
from vila2.data.images import open_image
from vila2.data.rejects import Reject
from vila2.data.sample import ImagePart, Sample, user
from vila2.data.shortening import shown
from vila2.sources.rows import LONGEST_NAME, Keys, check_inputs, own_id, read_image, without_suffix

_ORIENTATION = 274  # the EXIF tag
_TRANSPOSING = frozenset({5, 6, 7, 8})  # orientations that swap width and height
_PNG_ROTATIONS = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")
#: For each EXIF orientation, the function from a point of the stored image to that of the displayed image.
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
_ALIKE = 0.02  # relative difference of aspect ratios, since a small copy is rounded to whole pixels
_BEYOND = 1.01  # how far annotations may reach beyond an image's edge, as a share of its side

Size = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """The image that pixel coordinates refer to.

    Attributes:
        width: width in pixels.
        height: height in pixels.
        orientation: EXIF orientation that leads from this image to the displayed one; 1 if they are the same.
    """

    width: float
    height: float
    orientation: int = 1

    def point(self, x: float, y: float) -> Point:
        """Makes a unit point of the displayed image from a pixel; one outside is moved to the edge."""
        x, y = (min(max(value, 0.0), 1.0) for value in (x / self.width, y / self.height))
        return _SHOWN[self.orientation](x, y)

    def box(self, x0: float, y0: float, x1: float, y1: float) -> Box | None:
        """Makes a unit box of the displayed image from a box in pixels.

        Returns:
            The box, cut to the image; None if nothing is left.
        """
        if not (x0 < x1 and y0 < y1):
            return None
        (ax, ay), (bx, by) = self.point(x0, y0), self.point(x1, y1)
        box = (min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))
        return box if box[0] < box[2] and box[1] < box[3] else None


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of a row.

    Attributes:
        key: key of the row's sample.
        name: name of the image as the row gives it.
        data: encoded image.
        frame: image that the row's pixel coordinates refer to.
        where: place of the row.
    """

    key: str
    name: str
    data: bytes
    frame: Frame
    where: str = ""

    def sample(self, evidence: Evidence, meta: Mapping[str, Any]) -> Sample:
        """Makes a sample that shows the image and carries the evidence."""
        about = {**meta, "image": self.name, **evidence.to_meta()}
        return Sample(self.key, (self.data,), (user(ImagePart()),), about, where=self.where)


@dataclass(slots=True)
class Images:
    """Finds the images of a file of annotations.

    Attributes:
        root: folder that names of images are relative to.
        beside: whether to look in ``root/images`` too.
        keys: keys of the rows so far.
    """

    root: Path
    beside: bool
    keys: Keys = field(default_factory=Keys)

    def open(self, fields: Mapping[str, Any], *, where: str, reach: Size | None = None) -> Picture | Reject:
        """Reads the image that a row names in ``image``, ``file_name``, ``file_path`` or (LVIS) ``coco_url``.

        Args:
            fields: fields of the row.
            where: place of the row.
            reach: largest x and y of the row's pixel coordinates; None if it has none.
        """
        name = next((fields[key] for key in ("image", "file_name", "file_path") if fields.get(key)), None)
        name = self._found(name if name is not None else self._by_address(fields.get("coco_url")))
        called = _called(name) or Path(where).name
        key = self.keys.key(own_id(fields) or without_suffix(called), dict(fields))
        data = read_image(self._root_of(name), name, where=where, key=key)
        if isinstance(data, Reject):
            return data
        given = given_size(fields)
        if isinstance(given, str):
            return Reject(where, key, "bad-size", given)
        frame = frame_of(data, called, given, reach)
        if not isinstance(frame, Frame):
            return Reject(where, key, *frame)
        return Picture(key, called, data, frame, where)

    def _root_of(self, name: object) -> Path:
        return self.root / "images" if self.beside and not self._lies_in(self.root, name) else self.root

    def _found(self, name: object) -> object:
        """Turns backslashes, which Windows writes, into slashes if only so the file is found."""
        if not isinstance(name, str) or "\\" not in name or self._lies_in(self._root_of(name), name):
            return name
        slashed = name.replace("\\", "/")
        return slashed if self._lies_in(self._root_of(slashed), slashed) else name

    def _by_address(self, address: object) -> str | None:
        """Finds the file of an address such as LVIS gives: http://images.cocodataset.org/val2017/NUMBER.jpg."""
        if not isinstance(address, str) or "/" not in address:
            return None
        folder, file = address.split("/")[-2:]
        names = [f"{folder}/{file}", file]
        roots = [self.root, self.root / "images"] if self.beside else [self.root]
        return next((name for name in names if any(self._lies_in(root, name) for root in roots)), names[0])

    @staticmethod
    def _lies_in(root: Path, name: object) -> bool:
        try:
            return isinstance(name, str) and (root / name).is_file()
        except (OSError, ValueError):  # a name that is too long or contains NUL
            return False


def check_image_root(folder: Path | str | None) -> None:
    """Checks that a folder of images exists, if one is given.

    Raises:
        DataError: the folder does not exist.
    """
    check_inputs(None, folder)


def _called(name: object) -> str:
    """Returns the name of an image; "" if its content stands in place of a name."""
    name = name.get("path") if isinstance(name, Mapping) else name
    if not isinstance(name, str) or len(name) > LONGEST_NAME or name.startswith("data:"):
        return ""
    return name


def frame_of(
    data: bytes, name: str, given: Size | None = None, reach: Size | None = None
) -> Frame | tuple[str, str]:
    """Finds out whether pixel coordinates refer to an image as stored or as its EXIF orientation displays it.

    Other tools use either. The size that the annotations give tells which, else how far their coordinates
    reach. If neither tells, or the size fits neither image, the coordinates cannot be used.

    Args:
        data: encoded image.
        name: name of the image, for the detail.
        given: width and height of the image in the annotations, in pixels; None if they give none.
        reach: largest x and y of the coordinates, in pixels; None if there are none.

    Returns:
        The frame, or reason and detail of a reject.
    """
    header = image_header(data)
    if header is None:
        return "corrupt-image", f"{name} cannot be read as an image"
    stored, orientation = header
    displayed = (stored[1], stored[0]) if orientation in _TRANSPOSING else stored
    fitting = given is None or any(same_shape(given, size) for size in (displayed, stored))
    if given is not None and not fitting and same_shape((given[1], given[0]), displayed):
        return "rotated-image", f"{name} is {_by(displayed)}, its coordinates are for {_by(given)}"
    if orientation == 1 or reach is None:
        return Frame(*(given or displayed))
    what = f"{name} is turned or mirrored by its EXIF orientation {orientation}"
    if orientation not in _TRANSPOSING:
        return "rotated-image", f"{what}, and its coordinates may be for either: save it as it is displayed"
    ways: tuple[tuple[int, Size], ...] = ((1, displayed), (orientation, stored))
    fits = {
        way: given or size
        for way, size in ways
        if (same_shape(given, size) if given else all(map(_within, reach, size)))
    }
    if len(fits) == 1:
        ((way, frame),) = fits.items()
        return Frame(*frame, way)
    told = f"their size {_by(given)}" if given else "no size given"
    return "rotated-image", f"{what}; its coordinates ({told}) may be for {_by(stored)} or {_by(displayed)}"


def _within(reach: float, side: float) -> bool:
    return reach <= side * _BEYOND


def _by(size: Size) -> str:
    return "x".join(f"{side:g}" for side in size)


def same_shape(size: Size, other: Size) -> bool:
    """Tells whether two sizes have one aspect ratio, so that unit boxes of one fit the other."""
    return abs(size[0] / size[1] * (other[1] / other[0]) - 1) <= _ALIKE


def given_size(fields: Mapping[str, Any]) -> Size | str | None:
    """Reads the width and height that a row gives.

    Returns:
        The size in pixels; None if the row gives none, or 0 or -1; or a text that says what is wrong.
    """
    sides: list[float] = []
    for name in ("width", "height"):
        value = fields.get(name)
        if isinstance(value, str) and re.fullmatch(r"\s*\d{1,9}(\.\d+)?\s*", value):
            value = float(value)
        if value is None or value == "":
            value = 0
        if not is_number(value):
            return f"{name} is {shown(value)}, not a number of pixels"
        sides.append(float(value))
    return (sides[0], sides[1]) if min(sides) > 0 else None


def is_number(value: object) -> TypeGuard[int | float]:
    """Tells whether a value of a row is a finite number, not too large for a float."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return abs(float(value)) < float("inf")
    except OverflowError:  # hundreds of digits
        return False


def numbers(value: object, count: int) -> tuple[float, ...] | None:
    """Reads a list of ``count`` numbers; None if the value is anything else."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or len(value) != count:
        return None
    return tuple(map(float, value)) if all(map(is_number, value)) else None


def within_a_pixel(values: Sequence[float]) -> bool:
    """Tells whether coordinates lie within 0 to 1: shares of the image instead of pixels."""
    return all(0 <= value <= 1 for value in values)


def image_header(data: bytes) -> tuple[tuple[int, int], int] | None:
    """Reads size and EXIF orientation of an image from its header.

    Returns:
        Width and height as stored, in pixels, and the orientation, 1 to 8; None if it cannot be read.
    """
    try:
        with open_image(data) as image:
            # Pillow decodes all of a PNG to look for a rotation.
            plain = image.format == "PNG" and not any(mark in data for mark in _PNG_ROTATIONS)
            orientation = 1 if plain else image.getexif().get(_ORIENTATION, 1)
            return image.size, orientation if orientation in _SHOWN else 1
    except Exception:  # a damaged file makes decoders raise nearly anything
        return None
