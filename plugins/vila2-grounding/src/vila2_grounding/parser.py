"""A specialist's answer as an exchange to train on, and one claim for each box that follows a phrase."""

from __future__ import annotations

from vila2.plugin import BoxPart, Claim, CoordinateScheme, Parsed, Part, Said, TextPart, Turn, user

from vila2_grounding import PROMPTS, QUESTIONS
from vila2_grounding.mentions import mentions
from vila2_grounding.phrases import normal

_LOCATING = frozenset((*PROMPTS, *QUESTIONS))
_SCHEMES = (CoordinateScheme("text"), CoordinateScheme("tokens"))


def parse(said: Said) -> Parsed:
    """Keeps an answer's text and its well-formed boxes.

    Boxes that are not well formed (cut off, swapped, out of range, without area) are taken out and counted in the
    detail; an answer with none but such is an "error", and one without a box where boxes were asked for "empty".
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
    """The parts without coordinates that were left as text, and how many those were."""
    kept: list[Part] = []
    broken = 0
    for part in parts:
        if not isinstance(part, TextPart):
            kept.append(part)
            continue
        text = part.text
        found = sorted(
            ((one.start, one.end) for scheme in _SCHEMES for one in scheme.parse(text)), reverse=True
        )
        for start, end in found:
            text = text[:start].rstrip(" ") + text[end:]
        broken += len(found)
        if text:
            kept.append(TextPart(text))
    return tuple(kept), broken


def _claims(said: Said) -> tuple[Claim, ...]:
    """Claims with spans in the text as it was said: from the phrase to the end of its box."""
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
    """Where each part begins and ends in the text; boxes with nothing between them all end with the last one."""
    text, place = said.text, 0
    starts, ends = [], []
    for number, part in enumerate(said.parts):
        if isinstance(part, TextPart):
            starts.append(max(text.find(part.text, place), place))
            place = min(starts[-1] + len(part.text), len(text))
            ends.append(place)
        else:
            behind = next((one.text for one in said.parts[number + 1 :] if isinstance(one, TextPart)), None)
            starts.append(place)
            ends.append(len(text) if behind is None else max(text.find(behind, place), place))
    return starts, ends
