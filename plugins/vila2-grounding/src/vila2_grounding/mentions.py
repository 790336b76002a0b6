"""Grounded text read back: which phrase each box of an answer belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vila2.plugin import Box, BoxPart, Part, TextPart

from vila2_grounding.phrases import phrase_before


@dataclass(frozen=True, slots=True)
class Mention:
    """A box and the phrase that it follows.

    Attributes:
        phrase: as it is written, "" where the box follows none.
        box: unit xyxy.
        part: number of the text part that holds the phrase, -1 where there is none.
        start: of the phrase in that part.
        last: number of the box's own part.
    """

    phrase: str
    box: Box
    part: int
    start: int
    last: int


def mentions(parts: Sequence[Part]) -> list[Mention]:
    """Every box of an answer, in order; boxes with nothing but commas or "and" between share a phrase."""
    found: list[Mention] = []
    phrase, part, start = "", -1, 0
    boxed = False
    for number, one in enumerate(parts):
        if isinstance(one, BoxPart):
            found.append(Mention(phrase, one.box, part, start, number))
            boxed = True
        elif isinstance(one, TextPart):
            if boxed and one.text.replace("and", "", 1).strip(" ,;&\n") == "":
                continue
            span = phrase_before(one.text, len(one.text))
            phrase, part, start = (one.text[slice(*span)], number, span[0]) if span else ("", -1, 0)
            boxed = False
    return found
