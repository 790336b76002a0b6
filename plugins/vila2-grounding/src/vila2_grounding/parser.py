"""The parser of a specialist's answers.

It turns an answer into an exchange to train on, and each box that follows a phrase into a claim.
"""

from __future__ import annotations

from vila2.plugin import BoxPart, Claim, CoordinateScheme, Parsed, Part, Said, TextPart, Turn, user

from vila2_grounding import PROMPTS, QUESTIONS
from vila2_grounding.mentions import mentions
from vila2_grounding.phrases import normal

_LOCATING = frozenset((*PROMPTS, *QUESTIONS))
_SCHEMES = (CoordinateScheme("text"), CoordinateScheme("tokens"))


def parse(said: Said) -> Parsed:
    """Keeps an answer's text and its well-formed boxes.

    A malformed box is cut off, swapped, out of range or without area. The parser removes it, and the detail
    says how many were removed. An answer with malformed boxes only is an "error". An answer without boxes is
    "empty" where it is blank or the prompt asked for boxes.
    """
    if said.status != "ok":
        return Parsed((), status=said.status)
    parts, broken = _cleaned(said.parts)
    located = any(isinstance(part, BoxPart) for part in parts)
    if not located and broken:
        return Parsed((), status="error", detail=f"none of {_boxes(broken)} is well formed")
    if not located and (said.prompt in _LOCATING or not said.text.strip()):
        return Parsed((), status="empty", detail="nothing is located")
    detail = f"{_boxes(broken)} taken out: not well formed" if broken else ""
    return Parsed((user(said.prompt), Turn("assistant", parts)), _claims(said), detail=detail)


def _boxes(number: int) -> str:
    return f"{number} box{'es' if number > 1 else ''}"


def _cleaned(parts: tuple[Part, ...]) -> tuple[tuple[Part, ...], int]:
    """The parts without the malformed boxes, which are still text, and the number of those boxes."""
    kept: list[Part] = []
    broken = 0
    for part in parts:
        if not isinstance(part, TextPart):
            kept.append(part)
            continue
        text = part.text
        found = sorted(_written(text), reverse=True)
        for start, end in found:
            text = text[:start].rstrip(" ") + text[end:]
        broken += len(found)
        if text:
            kept.append(TextPart(text))
    return tuple(kept), broken


def _claims(said: Said) -> tuple[Claim, ...]:
    """Claims with their spans in the original text. A span goes from a phrase to the end of its box."""
    starts, ends = _places(said)
    return tuple(
        Claim(
            "object",
            starts[one.part] + one.start,
            ends[one.last],
            "unverified",
            subject=normal(one.phrase),
            boxes=(one.box,),
        )
        for one in mentions(said.parts)
        if one.phrase
    )


def _places(said: Said) -> tuple[list[int], list[int]]:
    """The places in the text where each part begins and where it ends.

    Boxes with no text between them all end where the last of them ends.
    """
    text, place, written = said.text, 0, _written(said.text)
    starts, ends = [], []
    for number, part in enumerate(said.parts):
        if isinstance(part, TextPart):
            starts.append(max(text.find(part.text, place), place))
            place = min(starts[-1] + len(part.text), len(text))
            ends.append(place)
        else:
            behind = next((one.text for one in said.parts[number + 1 :] if isinstance(one, TextPart)), None)
            starts.append(place)
            ends.append(len(text) if behind is None else max(_outside(written, text, behind, place), place))
    return starts, ends


def _written(text: str) -> list[tuple[int, int]]:
    """The places of all boxes in a text, well formed or not."""
    return [(one.start, one.end) for scheme in _SCHEMES for one in scheme.parse(text)]


def _outside(written: list[tuple[int, int]], text: str, piece: str, place: int) -> int:
    """Where a piece of text is found from a place on, and not inside a box: "." is also in "0.734"."""
    found = text.find(piece, place)
    while any(start < found < end for start, end in written):
        found = text.find(piece, found + 1)
    return found
