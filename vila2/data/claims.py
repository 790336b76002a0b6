"""Claims: the checkable statements of an annotation, each with the characters that make it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
    """

    kind: ClaimKind
    start: int
    end: int
    status: ClaimStatus
    detail: str = ""
    subject: str = ""
