"""What a text denies: "no cat", "is not on the table", "neither a dog nor a cat". What is denied makes no claim."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

#: First character, and the one behind the last.
Span = tuple[int, int]

#: Denies what follows in its clause: too much rather than too little, because what is denied makes no claim.
_DENIES = re.compile(
    r"(?:\b(?:no|not|none|nothing|nobody|without|never|any|neither|nor|cannot|lacks?|instead\s+of|rather\s+than)"
    r"|n['’]t)\b",
    re.IGNORECASE,
)
#: Where a denial ends. A comma does not where the list goes on to its "or": "no dog, cat or bird".
_DENIED_UP_TO = re.compile(
    r"[;:]|[.!?](?=\s|$)|\n|\b(?:but|only|except|while|whereas|though|although|because)\b"
    r"|\band(?=\s+(?:there|it|is|are|we|the|on|in|to)\b)|,(?!(?:[^,;:.]{1,30},){0,8}[^,;:.]{0,30}\bn?or\b)",
    re.IGNORECASE,
)


def denials(text: str) -> list[Span]:
    """The parts of a text in which something is denied, from "no" or "not" to where its clause ends."""
    spans: list[Span] = []
    for hit in _DENIES.finditer(text):
        if not spans or hit.start() >= spans[-1][1]:
            end = _DENIED_UP_TO.search(text, hit.end())
            spans.append((hit.end(), end.start() if end else len(text)))
    return spans


def lies_in(spans: Sequence[Span], place: int) -> bool:
    """Whether a character lies in one of some spans, which are in order and apart."""
    number = bisect_right(spans, place, key=lambda span: span[0]) - 1
    return number >= 0 and place < spans[number][1]
