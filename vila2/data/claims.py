"""Claims: the checkable statements of an annotation, each with its place in the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vila2.data.boxes import Box, Point

ClaimKind = Literal["object", "attribute", "relation", "text", "count"]
ClaimStatus = Literal["supported", "contradicted", "unverified"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One checkable statement.

    Attributes:
        kind: kind of statement.
        start: place of the first character in the annotation's text.
        end: place behind the last character.
        status: verdict of the evidence; "unverified" where there is none.
        detail: explanation of the status in one line, such as "no blue cube in the scene".
        subject: name of the thing that the claim is about, such as "blue cube".
        predicate: name of the relation or attribute, such as "left of" or "color". Of a count, "at least"
            where there may be more; of a text, "quoted" where it may not be writing.
        object: name of the thing that a relation leads to, such as "red ball".
        value: value that is claimed of the subject: quoted text, a number, an attribute's value.
        boxes: boxes of the subject and then of the object, where the annotation gives them; unit xyxy.
        points: points on the subject and then on the object, where the annotation points at them; unit xy. Of
            a count, a point on each thing.
    """

    kind: ClaimKind
    start: int
    end: int
    status: ClaimStatus
    detail: str = ""
    subject: str = ""
    predicate: str = ""
    object: str = ""
    value: str = ""
    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()

    @property
    def places(self) -> tuple[Box | Point, ...]:
        """The boxes, or else the points."""
        return self.boxes or self.points
