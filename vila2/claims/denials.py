"""Finds what a text denies: "no cat", "is not on the table", "neither a dog nor a cat"; it makes no claim."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

#: Place of the first character, and the place behind the last.
Span = tuple[int, int]

#: Words that deny the rest of their clause. Too many rather than too few: a denied thing only makes no claim.
_DENIES = re.compile(
    r"(?:\b(?:no|not|none|nothing|nobody|without|never|any|neither|nor|cannot|lacks?|instead\s+of|rather\s+than)"
    r"|n['’]t)\b",
    re.IGNORECASE,
)
#: The end of a denial. A comma does not end it in a list with "or": "no dog, cat or bird".
_DENIED_UP_TO = re.compile(
    r"[;:]|[.!?](?=\s|$)|\n|\b(?:but|only|except|while|whereas|though|although|because)\b"
    r"|\band(?=\s+(?:there|it|is|are|we|the|on|in|to)\b)|,(?!(?:[^,;:.]{1,30},){0,8}[^,;:.]{0,30}\bn?or\b)",
    re.IGNORECASE,
)


def denials(text: str) -> list[Span]:
    """Finds the parts of a text that are denied, from behind "no" or "not" to the end of its clause."""
    spans: list[Span] = []
    for hit in _DENIES.finditer(text):
        if not spans or hit.start() >= spans[-1][1]:
            end = _DENIED_UP_TO.search(text, hit.end())
            spans.append((hit.end(), end.start() if end else len(text)))
    return spans


def lies_in(spans: Sequence[Span], place: int) -> bool:
    """Whether a character lies in a span.

    Args:
        spans: spans in order, without overlap.
        place: place of the character.
    """
    number = bisect_right(spans, place, key=lambda span: span[0]) - 1
    return number >= 0 and place < spans[number][1]
