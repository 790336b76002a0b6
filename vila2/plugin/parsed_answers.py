"""Checks what a plugin's parser made of an answer, before anything believes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

from vila2.data.annotations import STATUSES
from vila2.data.boxes import place_fault
from vila2.data.claims import Claim, ClaimKind, ClaimStatus
from vila2.data.sample import ImagePart, Turn, part_fault
from vila2.data.tar_sample import says_something
from vila2.plugin.contract import Parsed, Said

_NAMES = ("detail", "subject", "predicate", "object", "value")


def parsed_fault(parsed: Parsed, said: Said, images: int = 1) -> str:
    """Says what the contract does not allow in a parser's result; "" for nothing.

    Args:
        parsed: result of the parser, whose turns and claims are tuples.
        said: answer that was parsed. Spans of claims lie in its text.
        images: number of images that were asked about.
    """
    return next(_faults(parsed, said, images), "")


def _faults(parsed: Parsed, said: Said, images: int) -> Iterator[str]:
    if parsed.status not in STATUSES:
        yield f"unknown status {parsed.status!r}; use one of {', '.join(STATUSES)}"
    if not isinstance(parsed.detail, str):
        yield f"detail {parsed.detail!r} is no text"
    yield from _turn_faults(parsed.turns, images)
    if parsed.status == "ok":
        yield from _talk_faults(parsed.turns, said)
    for number, claim in enumerate(parsed.claims):
        yield from (f"claim {number}: {what}" for what in _claim_faults(claim, len(said.text)))


def _turn_faults(turns: Sequence[Turn], images: int) -> Iterator[str]:
    for number, turn in enumerate(turns):
        where = f"turn {number}"
        if turn.role not in ("user", "assistant"):
            yield f"{where}: role {turn.role!r}; use user or assistant"
        for part in turn.parts:
            if fault := part_fault(part):
                yield f"{where}: {fault}"
            elif isinstance(part, ImagePart) and part.index >= images:
                yield f"{where}: image {part.index} of a sample with {images}"


def _talk_faults(turns: Sequence[Turn], said: Said) -> Iterator[str]:
    """What an answer that is trained on must not be. Without turns, it is the text as it was generated."""
    if not turns and not said.text.strip():
        yield "an answer without text cannot be ok; mark it as empty"
    for number, turn in enumerate(turns):
        if turn.role == "assistant" and not says_something(turn):
            yield f"turn {number}: an empty answer cannot be ok; mark it as empty"
    if turns and turns[-1].role == "user":
        yield f"turn {len(turns) - 1}: a question without an answer cannot be ok"


def _claim_faults(claim: Claim, length: int) -> Iterator[str]:
    if claim.kind not in get_args(ClaimKind):
        yield f"unknown kind {claim.kind!r}; use one of {', '.join(get_args(ClaimKind))}"
    if claim.status not in get_args(ClaimStatus):
        yield f"unknown status {claim.status!r}; use one of {', '.join(get_args(ClaimStatus))}"
    ends = (claim.start, claim.end)
    if not all(type(end) is int for end in ends) or not 0 <= claim.start <= claim.end <= length:
        yield f"span {ends} is not within the {length} characters of the answer"
    for name in _NAMES:
        if not isinstance(getattr(claim, name), str):
            yield f"{name} {getattr(claim, name)!r} is no text"
    yield from filter(None, (place_fault(box, 4) for box in claim.boxes))
    yield from filter(None, (place_fault(point, 2) for point in claim.points))
