"""Samples, turns and parts: what one training example or one annotation consists of.

A part is text, an image, a box or a point. A box or a point is rendered by the host in the
coordinate scheme of the model at hand, and the text of a part can never become a special token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from vila2.data.boxes import Box, Point
from vila2.errors import DataError

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """The place of the sample's image number ``index`` in the conversation."""

    index: int = 0


@dataclass(frozen=True, slots=True)
class BoxPart:
    """A box in unit xyxy of the original image."""

    box: Box


@dataclass(frozen=True, slots=True)
class PointPart:
    """A point in unit xy of the original image."""

    point: Point


Part = TextPart | ImagePart | BoxPart | PointPart


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance.

    Attributes:
        role: who speaks.
        parts: what is said, in order.
        train: whether the loss counts this turn; by default it counts what the assistant says.
        source: the layer the turn came from ("original", "self-1", "ocr", ...).
        branch: 0 for the trunk of the conversation; turns of branch k > 0 follow the trunk and see
            no other branch (the ``tree`` view: one image, several isolated annotations).
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
        """The text parts, joined as they stand."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form; fields at their default are left out."""
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
            DataError: an unknown role or part.
        """
        role = data.get("role")
        if role not in ROLES:
            raise DataError(f"unknown role {role!r} in a turn", hint=f"use one of {', '.join(ROLES)}")
        parts = tuple(_part_from_json(part) for part in data.get("parts", ()))
        return cls(role, parts, data.get("train"), data.get("source", "original"), data.get("branch", 0))


@dataclass(frozen=True, slots=True)
class Sample:
    """One training example.

    Attributes:
        key: unique within its dataset.
        images: the encoded image files (JPEG, PNG or WebP bytes), decoded only when needed.
        turns: the conversation; of an image-text pair one assistant turn with the original text.
        meta: anything else that is known about it (JSON-able).
        where: the file it came from, with line or member, for messages; not stored, and no part of what it is.
    """

    key: str
    images: tuple[bytes, ...] = ()
    turns: tuple[Turn, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    where: str = field(default="", compare=False, repr=False)

    def with_turns(self, turns: tuple[Turn, ...]) -> Sample:
        """The same images with another conversation."""
        return replace(self, turns=turns)


def user(*parts: str | Part, source: str = "original", branch: int = 0) -> Turn:
    """A user turn; plain strings become text parts."""
    return Turn("user", _as_parts(parts), source=source, branch=branch)


def assistant(*parts: str | Part, source: str = "original", branch: int = 0) -> Turn:
    """An assistant turn; plain strings become text parts."""
    return Turn("assistant", _as_parts(parts), source=source, branch=branch)


def _as_parts(parts: tuple[str | Part, ...]) -> tuple[Part, ...]:
    return tuple(TextPart(part) if isinstance(part, str) else part for part in parts)


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
        case other:
            raise DataError(f"unknown part type {other!r}", hint="use text, image, box or point")
