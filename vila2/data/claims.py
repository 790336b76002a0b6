"""Claims: the checkable statements of an annotation, each with the characters that make it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vila2.data.boxes import Box

ClaimKind = Literal["object", "attribute", "relation", "text", "count"]
ClaimStatus = Literal["supported", "contradicted", "unverified"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One checkable statement.

    Attributes:
        kind: what is claimed.
        start, end: character span in the annotation's text.
        status: what the evidence says; ``unverified`` where there is none.
        detail: one line for a reader, e.g. "no blue cube in the scene".
        subject: what the claim is about, e.g. "blue cube".
        predicate: of a relation or an attribute, e.g. "left of", "color"; of a count "at least" where there may be
            more, of a text "quoted" where it may be no writing.
        object: what the relation is to, e.g. "red ball".
        value: what is claimed of the subject: quoted text, a number, an attribute's value.
        boxes: of the subject, and of the object after it, where the annotation gives them; unit xyxy.
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
