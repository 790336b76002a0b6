"""Samples, turns and parts: what a training example consists of.

A sample holds images and a conversation about them. The conversation consists of turns, and a turn consists
of parts: text, an image, a box, a point or a polygon. For example::

    Sample(
        key="photo-1",
        images=(Path("photo-1.jpg").read_bytes(),),
        turns=(user(ImagePart(), "Where is the dog?"), assistant("At ", BoxPart((0.1, 0.2, 0.5, 0.9)), ".")),
    )

Places are in unit coordinates of the original image: x grows from 0 at the left edge to 1 at the right, y
from 0 at the top to 1 at the bottom. The host writes them in the coordinate scheme of the model that is
trained or asked. The text of a part never becomes a special token, whatever characters it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vila2.data.boxes import Box, Point, Polygon, place_fault, polygon_fault
from vila2.errors import DataError

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of plain text.

    Attributes:
        text: the text, with its white space.
    """

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """The place of an image in the conversation.

    Attributes:
        index: number of the image in ``Sample.images``, from 0.
    """

    index: int = 0


@dataclass(frozen=True, slots=True)
class BoxPart:
    """A box in an image.

    Attributes:
        box: left, top, right and bottom edge, in unit coordinates of the original image.
    """

    box: Box


@dataclass(frozen=True, slots=True)
class PointPart:
    """A point in an image.

    Attributes:
        point: x and y, in unit coordinates of the original image.
    """

    point: Point


@dataclass(frozen=True, slots=True)
class PolygonPart:
    """An outline in an image: a rotated box has four corners, a mask any number.

    Attributes:
        polygon: three corners or more in order, each x and y in unit coordinates of the original image.
    """

    polygon: Polygon


PlacePart = BoxPart | PointPart | PolygonPart
SpokenPart = TextPart | PlacePart
Part = SpokenPart | ImagePart


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance of a conversation.

    Attributes:
        role: speaker of the turn.
        parts: content of the turn, in order.
        train: whether the loss counts this turn; None counts the turns of the assistant.
        source: name of the layer that the turn came from ("original", "self-1", "ocr", ...).
        branch: number of the branch; 0 is the trunk of the conversation. The turns of a branch k > 0 follow
            the trunk and see no other branch, as in the ``tree`` view: one image, several isolated
            annotations.
    """

    role: Role
    parts: tuple[Part, ...]
    train: bool | None = None
    source: str = "original"
    branch: int = 0

    @property
    def trained(self) -> bool:
        """Whether the loss counts this turn."""
        return self.role == "assistant" if self.train is None else self.train

    @property
    def text(self) -> str:
        """The text parts, joined without a separator; images and places are left out."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    def to_json(self) -> dict[str, Any]:
        """Gives the turn as JSON values, without fields that are at their default."""
        data: dict[str, Any] = {"role": self.role, "parts": [_part_to_json(p) for p in self.parts]}
        if self.train is not None:
            data["train"] = self.train
        if self.source != "original":
            data["source"] = self.source
        if self.branch:
            data["branch"] = self.branch
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Turn:
        """Reads what :meth:`to_json` wrote.

        Raises:
            DataError: the role or a part is unknown.
        """
        role = data.get("role")
        if role not in ROLES:
            raise DataError(f"unknown role {role!r} in a turn", hint=f"use one of {', '.join(ROLES)}")
        if data == _SHOWN_JSON:  # of every image-text pair
            return SHOWN
        parts = tuple([_part_from_json(part) for part in data.get("parts", ())])
        return cls(role, parts, data.get("train"), data.get("source", "original"), data.get("branch", 0))


@dataclass(frozen=True, slots=True)
class Sample:
    """One training example: images and a conversation about them.

    Attributes:
        key: name of the sample, unique within its dataset.
        images: encoded image files (the bytes of a JPEG, PNG, WebP, ...), which are decoded only when needed.
        turns: the conversation. An image-text pair has a user turn with the image and an assistant turn with
            the text.
        meta: further facts about the sample, as JSON values.
        where: file that the sample came from, with line or member, for error messages. It is not stored and
            does not count when samples are compared.
    """

    key: str
    images: tuple[bytes, ...] = ()
    turns: tuple[Turn, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    where: str = field(default="", compare=False, repr=False)

    def with_turns(self, turns: tuple[Turn, ...]) -> Sample:
        """Copies the sample with another conversation."""
        return Sample(self.key, self.images, turns, self.meta, self.where)


def part_fault(part: object) -> str:
    """Says what is wrong with a part: an unknown type, or a place that no image holds; "" for nothing."""
    match part:
        case BoxPart(box):
            return place_fault(box, 4)
        case PointPart(point):
            return place_fault(point, 2)
        case PolygonPart(polygon):
            return polygon_fault(polygon)
        case TextPart(text):
            return "" if isinstance(text, str) else f"a text of {text!r}"
        case ImagePart(index):
            return "" if isinstance(index, int) and index >= 0 else f"an image of number {index!r}"
    return f"{part!r} is no part"


def user(*parts: str | Part, source: str = "original", branch: int = 0) -> Turn:
    """Makes a turn of the user.

    Args:
        parts: content of the turn; a string becomes a text part.
        source: name of the layer that the turn comes from.
        branch: number of the branch; 0 is the trunk.
    """
    return Turn("user", _as_parts(parts), source=source, branch=branch)


def assistant(*parts: str | Part, source: str = "original", branch: int = 0) -> Turn:
    """Makes a turn of the assistant, which the loss counts.

    Args:
        parts: content of the turn; a string becomes a text part.
        source: name of the layer that the turn comes from.
        branch: number of the branch; 0 is the trunk.
    """
    return Turn("assistant", _as_parts(parts), source=source, branch=branch)


def _as_parts(parts: tuple[str | Part, ...]) -> tuple[Part, ...]:
    return tuple([TextPart(part) if isinstance(part, str) else part for part in parts])


def _part_to_json(part: Part) -> dict[str, Any]:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ImagePart(index):
            return {"type": "image", "index": index}
        case BoxPart(box):
            return {"type": "box", "box": list(box)}
        case PointPart(point):
            return {"type": "point", "point": list(point)}
        case PolygonPart(polygon):
            return {"type": "polygon", "polygon": [list(corner) for corner in polygon]}


def _part_from_json(data: Mapping[str, Any]) -> Part:
    match data.get("type"):
        case "text":
            return TextPart(data["text"])
        case "image":
            return ImagePart(data.get("index", 0))
        case "box":
            return BoxPart(tuple(data["box"]))
        case "point":
            return PointPart(tuple(data["point"]))
        case "polygon":
            return PolygonPart(tuple((x, y) for x, y in data["polygon"]))
        case other:
            raise DataError(f"unknown part type {other!r}", hint="use text, image, box, point or polygon")


#: The user shows one image.
SHOWN = user(ImagePart())
_SHOWN_JSON = SHOWN.to_json()
