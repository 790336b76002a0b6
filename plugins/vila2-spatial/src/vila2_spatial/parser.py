"""A specialist's answer as an exchange to train on, and the spatial claims that it makes."""

from __future__ import annotations

from vila2.plugin import BoxPart, Claim, Parsed, Said, TextPart, Turn, user

from vila2_spatial.statements import Phrase, statements


def parse(said: Said) -> Parsed:
    """Keeps an answer as it is; every spatial statement in it becomes a claim.

    The boxes of a claim are those that directly follow its things, if each thing has one.
    """
    if said.status != "ok":
        return Parsed((), status=said.status)
    if not said.text.strip():
        return Parsed((), status="empty", detail="nothing is said")
    text, boxes = _spoken(said)
    claims = []
    for one in statements(text):
        named = [one.subject, *([one.object] if one.object else [])]
        own = [_box_after(phrase, text, boxes) for phrase in named]
        claims.append(
            Claim(
                "relation",
                one.start,
                one.end,
                "unverified",
                subject=one.subject.name,
                predicate=one.predicate,
                object=one.object.name if one.object else "",
                boxes=tuple(box for box in own if box) if all(own) else (),
            )
        )
    return Parsed((user(said.prompt), Turn("assistant", said.parts)), tuple(claims))


def _spoken(said: Said) -> tuple[str, dict[int, tuple[float, float, float, float]]]:
    """The text with its coordinates blanked out, and the boxes by where they begin.

    Every character of the text keeps its place.
    """
    text, boxes, place = said.text, {}, 0
    blanked = list(text)
    for number, part in enumerate(said.parts):
        if isinstance(part, TextPart):
            place = max(text.find(part.text, place), place) + len(part.text)
            continue
        following = next((one.text for one in said.parts[number + 1 :] if isinstance(one, TextPart)), None)
        end = len(text) if following is None else text.find(following, place)
        end = end if end >= place else len(text)
        if isinstance(part, BoxPart):
            boxes[place] = part.box
        blanked[place:end] = " " * (end - place)
        place = end
    return "".join(blanked), boxes


def _box_after(
    phrase: Phrase, text: str, boxes: dict[int, tuple[float, float, float, float]]
) -> tuple[float, float, float, float] | None:
    """The box that follows a phrase after nothing but a space."""
    for start, box in boxes.items():
        if phrase.end <= start and not text[phrase.end : start].strip():
            return box
    return None
