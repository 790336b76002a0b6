"""A free text read into claims: things, how many there are, where they stand to each other, and what is written.

A specialist's answers are read by its own parser; these rules are for captions, whoever wrote them, and for what a
parser leaves unread. The predicates are those of relations between things and to the camera's view: left, right, above,
below, front, behind, and camera_left, _right, _middle, _close, _far, _closest, _farthest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vila2.cycle.merge.mentions import CARRIERS, Mention, mentions
from vila2.cycle.merge.names import Vocabulary
from vila2.data.claims import Claim

_OF_THE_IMAGE = r"\s+of\s+the\s+(?:image|picture|photo|scene|frame)"


def _side(word: str) -> str:
    """ "on the left", "at the left side of the image"; not "on the left of the cube"."""
    place = rf"(?:far\s+)?{word}(?:[\s-]+hand)?(?:\s+side)?"
    return rf"(?:(?:on|to|at|in)\s+the\s+)?{place}{_OF_THE_IMAGE}|(?:on|to|at)\s+the\s+{place}(?!\s+(?:hand|side|of)\b)"


_RELATION = re.compile(
    r"\b(?:"
    rf"(?P<camera_left>{_side('left')})|(?P<camera_right>{_side('right')})"
    rf"|(?P<camera_middle>(?:in|at)\s+the\s+(?:middle|cent(?:er|re))(?:{_OF_THE_IMAGE})?(?!\s+of\b))"
    r"|(?P<camera_closest>(?:closest|nearest)\s+to\s+the\s+(?:camera|viewer))"
    r"|(?P<camera_farthest>(?:farthest|furthest)\s+(?:away\s+)?from\s+the\s+(?:camera|viewer))"
    r"|(?P<camera_close>in\s+the\s+foreground|(?:close|near)\s+to\s+the\s+(?:camera|viewer))"
    r"|(?P<camera_far>in\s+the\s+background|far\s+(?:away\s+)?from\s+the\s+(?:camera|viewer))"
    r"|(?P<left>(?:(?:to|on)\s+the\s+)?left(?:\s+(?:hand\s+)?side)?\s+of)"
    r"|(?P<right>(?:(?:to|on)\s+the\s+)?right(?:\s+(?:hand\s+)?side)?\s+of)"
    r"|(?P<front>in\s+front\s+of|(?:closer|nearer)\s+(?:to\s+(?:the\s+|us\b\s*)?(?:camera\s+|viewer\s+)?)?than)"
    r"|(?P<behind>behind|(?:farther|further)\s+(?:away\s+)?(?:from\s+(?:the\s+)?(?:camera|viewer)\s+)?than)"
    r"|(?P<above>above|on\s+top\s+of)|(?P<below>below|underneath|beneath|under)"
    r")\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"([^\"\n]{1,200})\"|“([^”\n]{1,200})”")
#: Without double quotes only what is in capitals, or called a word: who is "reading books" reads no text to us.
_SAID = re.compile(
    r"\b(?:says?|saying|reads?|reading|spells?|spelling|labell?ed|titled|(?:the|a)\s+words?)\s*:?\s+"
    r"(?:['‘]([^'’\n]{1,200})['’]|([A-Z0-9][A-Z0-9-]+)\b)|"
    r"\b(?:the|a)\s+word\s+(?!(?:on|is|in|that|at|of|for|and|written|printed|can|may)\b)([a-z]+)\b",
)
_NEGATED = re.compile(r"\b(?:not|never|no\s+longer|neither)\b[^,;]*$|n't\b[^,;]*$", re.IGNORECASE)
_CLAUSE = re.compile(r"[,;]|\b(?:and|while|but|whereas)\b", re.IGNORECASE)
_GOES_ON = re.compile(
    r"[\s,]*(?:and|but)?\s*(?:also\s+)?(?:it\s+)?(?:is\s+|stands\s+|are\s+)?", re.IGNORECASE
)


def read_claims(sentence: str, vocabulary: Vocabulary) -> tuple[Claim, ...]:
    """The claims of one sentence, unverified, in order of their first character.

    Args:
        sentence: one; a relation or a quote has its things in the same sentence.
        vocabulary: of the specialists' names; see :func:`vila2.cycle.merge.mentions.mentions`.
    """
    quotes = list(_quotes(sentence))
    # What is quoted is written in the picture: it names nothing that stands there.
    unquoted = sentence
    for start, end, _ in quotes:
        unquoted = unquoted[:start] + " " * (end - start) + unquoted[end:]
    named = mentions(unquoted, vocabulary)
    things = [one for one in named if one.name[-1] not in CARRIERS]
    claims = [
        Claim("count", one.start, one.end, "unverified", subject=one.called, value=str(one.number))
        if one.number is not None
        else Claim("object", one.start, one.end, "unverified", subject=one.called)
        for one in things
    ]
    claims += _relations(unquoted, [one for one in things if one.number is None])
    claims += [_text(*quote, things) for quote in quotes]
    return tuple(sorted(claims, key=lambda claim: (claim.start, claim.end, claim.kind)))


def _quotes(sentence: str) -> Iterator[tuple[int, int, str]]:
    spans: list[tuple[int, int]] = []
    for pattern in (_QUOTED, _SAID):
        for hit in pattern.finditer(sentence):
            number = next(number for number, group in enumerate(hit.groups(), 1) if group is not None)
            start, end = hit.span(number)
            if any(a < end and start < b for a, b in spans) or not any(map(str.isalnum, hit[number])):
                continue
            spans.append((start, end))
            yield start, end, hit[number].strip()


def _text(start: int, end: int, value: str, things: list[Mention]) -> Claim:
    before = [one for one in things if one.end <= start]
    return Claim(
        "text",
        start,
        end,
        "unverified",
        subject=before[-1].called if before else "",
        value=value.rstrip(".,;"),
    )


def _relations(sentence: str, things: list[Mention]) -> Iterator[Claim]:
    subject: Mention | None = None
    spent = 0
    for hit in _RELATION.finditer(sentence):
        predicate = str(hit.lastgroup)
        before = [one for one in things if spent <= one.start and one.end <= hit.start()]
        after = [one for one in things if one.start >= hit.end()]
        other: Mention | None = None
        if not predicate.startswith("camera_"):
            # What it is related to follows at once; anything between makes another sentence of it.
            if not after or sentence[hit.end() : after[0].start].strip():
                continue
            other, after = after[0], after[1:]
        if before:
            subject = _in_clause(sentence, before, hit.start())
        elif subject is None or not _GOES_ON.fullmatch(sentence[spent : hit.start()]):
            if sentence[: hit.start()].strip() or not after:
                continue
            subject = after[0]  # "Behind the sofa there is a lamp"
        spent = max(hit.end(), other.end if other else 0)
        if _NEGATED.search(sentence[: hit.start()]):
            continue
        marks = [
            (hit.start(), hit.end()),
            (subject.start, subject.end),
            *([(other.start, other.end)] if other else []),
        ]
        yield Claim(
            "relation", min(a for a, _ in marks), max(b for _, b in marks), "unverified",
            subject=subject.called, predicate=predicate, object=other.called if other else "",
        )  # fmt: skip


def _in_clause(sentence: str, before: list[Mention], place: int) -> Mention:
    """The first thing of the clause that a relation stands in: "a dog, and a cat with a hat is left of" speaks of the cat."""
    starts = [hit.end() for hit in _CLAUSE.finditer(sentence, 0, place)]
    for start in reversed(starts):
        own = [one for one in before if one.start >= start]
        if own:
            return own[0]
    return before[0]
