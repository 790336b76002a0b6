"""Spatial statements in running text: two things, their relation, and the characters that state it.

The rules cover what captions say ("the dog is to the left of a car", "behind the sofa there is a lamp", "the
chair closest to the camera"). A sentence outside of these rules makes no statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


def _side(word: str) -> str:
    """A pattern for a side of the image.

    It fits "on the left", "at the left side of the image" and "left of the camera".
    It does not fit "on the left of the cube".
    """
    place = rf"(?:far\s+)?{word}(?:[\s-]+hand)?(?:\s+side)?"
    whole = r"\s+of\s+the\s+(?:image|picture|photo|scene|frame|camera)"
    return rf"(?:(?:on|to|at)\s+the\s+)?{place}{whole}|(?:on|to|at)\s+the\s+{place}(?!\s+(?:hand|side|of)\b)"


#: Predicates by the words that state them.
_CAMERA = r"(?:\s+(?:the\s+)?(?:camera|viewer))"
_RELATION = re.compile(
    r"\b(?:"
    rf"(?P<camera_closest>(?:closest|nearest)\s+to{_CAMERA})"
    rf"|(?P<camera_farthest>(?:farthest|furthest)(?:\s+away)?\s+from{_CAMERA})"
    rf"|(?P<camera_close>(?:close|near)\s+to{_CAMERA})"
    rf"|(?P<camera_far>far(?:\s+away)?\s+from{_CAMERA})"
    rf"|(?P<camera_left>{_side('left')})"
    rf"|(?P<camera_right>{_side('right')})"
    r"|(?P<left>(?:(?:to|on)\s+the\s+)?left(?:\s+(?:hand\s+)?side)?\s+of)"
    r"|(?P<right>(?:(?:to|on)\s+the\s+)?right(?:\s+(?:hand\s+)?side)?\s+of)"
    r"|(?P<front>in\s+front\s+of)"
    r"|(?P<behind>(?:directly\s+|just\s+)?behind)"
    r"|(?P<closest>(?:closest|nearest)\s+to)"
    r")\b(?!\s+it\b)",
    re.IGNORECASE,
)
#: A noun phrase: a determiner and the words up to one that cannot belong to it. A box may follow.
_STOPS = (
    "is|are|was|were|be|has|have|stands?|sits?|lies?|appears?|seems?|that|which|who|and|or|but|while|"
    "with|without|on|in|"
    "at|to|of|from|by|for|near|behind|beside|between|above|below|under|over|left|right|"
    "closest|nearest|farthest|"
    "furthest|closer|farther|close|far|there|than|as|it|its|also|just|directly|"
    "standing|sitting|lying|parked|walking|"
    "located|placed|positioned|facing|looking|wearing|holding|seen|visible"
)
_PHRASE = re.compile(
    rf"\b(?:an?|the|another|this|that|one|two|three|four|some|several)\s+"
    rf"(?P<noun>(?!(?:{_STOPS}|left|right)\b)[a-z][\w'-]*(?:\s+(?!(?:{_STOPS})\b)[a-z][\w'-]*){{0,4}})",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?;\n]+")
#: Nouns that nothing relates to.
_NO_THING = re.compile(
    r"^(?:image|picture|photo|scene|frame|camera|viewer|left|right|foreground|background|middle|center|centre)"
    r"\b",
    re.I,
)
_NEGATED = re.compile(r"\b(?:not|never|no\s+longer|isn't|aren't|neither)\b[^,]*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase for a thing: its words without the determiner, and their place."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A relation that a text states.

    Attributes:
        predicate: one of ``relations.RELATIONS``.
        subject, object: things of the statement; the object is None for the camera.
        start, end: range of the characters from the first thing to the last.
    """

    predicate: str
    subject: Phrase
    object: Phrase | None
    start: int
    end: int


def statements(text: str) -> Iterator[Statement]:
    """The spatial statements of a text in order; what is denied is left out."""
    for sentence in _SENTENCE.finditer(text):
        phrases = [
            Phrase(hit["noun"].lower(), hit.start(), hit.end())
            for hit in _PHRASE.finditer(text, sentence.start(), sentence.end())
            if not _NO_THING.match(hit["noun"])
        ]
        subject: Phrase | None = None
        spent = sentence.start()
        for hit in _RELATION.finditer(text, sentence.start(), sentence.end()):
            found = _statement(text, hit, phrases, subject, spent)
            if found is not None:
                subject, spent = found.subject, found.end
                if not _NEGATED.search(text[sentence.start() : hit.start()]):
                    yield found


def _statement(
    text: str, hit: re.Match[str], phrases: list[Phrase], last: Phrase | None, spent: int
) -> Statement | None:
    predicate = str(hit.lastgroup)
    before = [one for one in phrases if spent <= one.start and one.end <= hit.start()]
    after = [one for one in phrases if one.start >= hit.end()]
    other: Phrase | None = None
    if not predicate.startswith("camera_"):
        # The object follows at once. Anything between makes another sentence of it.
        if not after or text[hit.end() : after[0].start].strip():
            return None
        other, after = after[0], after[1:]
    if before:
        subject = before[0]
    elif (
        last is not None
        and spent < hit.start()
        and re.fullmatch(r"[\s,]*(?:and|but)?\s*(?:it\s+)?(?:is\s+|stands\s+)?", text[spent : hit.start()])
    ):
        subject = last  # "... is left of the cube and behind the ball"
    elif after and not text[spent : hit.start()].strip(" ,") and spent == _begin(text, hit.start()):
        subject = after[0]  # "Behind the sofa there is a lamp"
    else:
        return None
    marks = [subject, *([other] if other else [])]
    start, end = min(hit.start(), *(one.start for one in marks)), max(hit.end(), *(one.end for one in marks))
    return Statement(predicate, subject, other, start, end)


def _begin(text: str, place: int) -> int:
    """The beginning of the sentence at ``place``."""
    return max(text.rfind(mark, 0, place) for mark in ".!?;\n") + 1
