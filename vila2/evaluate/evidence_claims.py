"""A caption against evidence: what a detector saw, an OCR read, or people drew boxes about.

Where the truth is not known there is at least agreement with somebody who looked another way. Four kinds of statement
are found in free text: things by the evidence's labels (:mod:`vila2.evaluate.thing_words`), counts of them, left, right,
above and below between them, and quoted text. Everything else a caption says makes no claim here, which is why
:func:`coverage` belongs beside every precision.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from vila2.data.claims import Claim, ClaimKind
from vila2.data.evidence import Evidence, SceneObject
from vila2.evaluate.looking import FUNCTION_WORDS
from vila2.evaluate.relations import Axis, relation
from vila2.evaluate.text import tokens
from vila2.evaluate.thing_words import NOT_THINGS, words_for

#: A quoted text agrees with a written one from this share of equal characters on.
SAME_TEXT = 0.8
_COUNTS = {
    word: n
    for n, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), 1)
}
_COUNT = re.compile(rf"\b({'|'.join(_COUNTS)}|[2-9])(?:\s+[a-z-]+){{0,2}}\s*$", re.IGNORECASE)
_RELATION = re.compile(
    r"\b(?:(left|right)(?:\s+side)?\s+of|(above|over)|(below|underneath))\b", re.IGNORECASE
)
_SIDES: dict[str, tuple[Axis, int]] = {"left": ("left/right", -1), "right": ("left/right", 1), "above": ("above/below", -1), "over": ("above/below", -1),
          "below": ("above/below", 1), "underneath": ("above/below", 1)}  # fmt: skip
_QUOTED = re.compile(r"[\"“]([^\"”]{1,80})[\"”]|\b(?:says?|saying|reads?|reading)\s+'([^']{1,80})'")
_SENTENCE = re.compile(r"[^.!?;]+")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True, slots=True)
class _Named:
    start: int
    end: int
    label: str


def known_labels(evidence: Iterable[Evidence]) -> tuple[str, ...]:
    """All labels that a set of evidence speaks of."""
    return tuple(
        sorted({label for one in evidence for label in (*one.labels, *(o.label for o in one.objects))})
    )


def check_against_evidence(evidence: Evidence, text: str, labels: Sequence[str]) -> tuple[Claim, ...]:
    """The claims of a text about things of these labels and about written text, in order of their first character.

    A thing that is not among the objects is contradicted only where evidence lists all objects of its label, a count
    likewise; a quoted text only where all texts are listed. The rest is unverified.

    Args:
        evidence: of the image.
        text: the caption.
        labels: that count as things, of :func:`known_labels`.
    """
    named = _named(text, tuple(labels))
    claims = [_object_claim(evidence, one) for one in named]
    claims += [claim for one in named if (claim := _count_claim(evidence, text, one))]
    for sentence in _SENTENCE.finditer(text):
        inside = [one for one in named if sentence.start() <= one.start < sentence.end()]
        claims += _relation_claims(evidence, text, sentence, inside)
    claims += _text_claims(evidence, text)
    return tuple(sorted(claims, key=lambda claim: (claim.start, claim.end, claim.kind)))


def coverage(claims: Sequence[Claim], text: str) -> tuple[int, int]:
    """How many content words of a text stand in a decided claim, and how many there are."""
    decided = [(claim.start, claim.end) for claim in claims if claim.status != "unverified"]
    words = [hit for hit in _WORD.finditer(text) if hit.group().lower() not in FUNCTION_WORDS]
    covered = sum(any(start < word.end() and word.start() < end for start, end in decided) for word in words)
    return covered, len(words)


@lru_cache(maxsize=16)
def _pattern(labels: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    """Finds what means a thing, the longest first, and whose label it is; a label's own name comes before synonyms."""
    label_of = {word: label for label in reversed(labels) for word in words_for(label)}
    label_of |= {form: label for label in labels for form in words_for(label)[:2]}
    ordered = sorted({*label_of, *NOT_THINGS}, key=lambda word: (-len(word), word))
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, ordered))})\b", re.IGNORECASE), label_of


def _named(text: str, labels: tuple[str, ...]) -> list[_Named]:
    if not labels:
        return []
    pattern, label_of = _pattern(labels)
    hits = ((hit, label_of.get(hit.group().lower())) for hit in pattern.finditer(text))
    return [_Named(*hit.span(), label) for hit, label in hits if label]


def _is_complete(evidence: Evidence, label: str) -> bool:
    return evidence.all_objects and (not evidence.labels or label in evidence.labels)


def _claim(kind: ClaimKind, start: int, end: int, holds: bool | None, subject: str, detail: str) -> Claim:
    status = "unverified" if holds is None else "supported" if holds else "contradicted"
    return Claim(kind, start, end, status, "" if holds is not False else detail, subject)


def _object_claim(evidence: Evidence, one: _Named) -> Claim:
    there = any(thing.label == one.label for thing in evidence.objects)
    holds = there or (False if _is_complete(evidence, one.label) else None)
    return _claim("object", one.start, one.end, holds, one.label, f"no {one.label} among the objects")


def _count_claim(evidence: Evidence, text: str, one: _Named) -> Claim | None:
    hit = _COUNT.search(text, max(0, one.start - 40), one.start)
    if hit is None:
        return None
    word = hit.group(1).lower()
    number = _COUNTS.get(word) or int(word)
    if number == 1:  # "one of", "one man ... another": no count
        return None
    actual = sum(thing.label == one.label for thing in evidence.objects)
    # "Two men" among three people may be right: of a synonym only too few contradict.
    is_label = text[one.start : one.end].lower() in words_for(one.label)[:2]
    holds = actual == number if actual <= number or is_label else None
    decided = holds if _is_complete(evidence, one.label) else None
    return _claim("count", hit.start(1), one.end, decided, one.label, f"there are {actual}, not {number}")


def _relation_claims(
    evidence: Evidence, text: str, sentence: re.Match[str], inside: Sequence[_Named]
) -> list[Claim]:
    claims = []
    for hit in _RELATION.finditer(text, sentence.start(), sentence.end()):
        before = [one for one in inside if one.end <= hit.start()]
        after = [one for one in inside if one.start >= hit.end()]
        if not before or not after:
            continue
        first, second = before[-1], after[0]
        axis, side = _SIDES[next(word for word in hit.groups() if word).lower()]
        one, other = (_only(evidence, thing.label) for thing in (first, second))
        found = relation(one, other, axis) if one and other and one is not other else None
        holds = None if found is None else found == side
        subject = f"{first.label} {hit.group().lower()} {second.label}"
        claims.append(
            _claim("relation", hit.start(), hit.end(), holds, subject, "the boxes stand the other way")
        )
    return claims


def _only(evidence: Evidence, label: str) -> SceneObject | None:
    things = [thing for thing in evidence.objects if thing.label == label]
    return things[0] if len(things) == 1 and _is_complete(evidence, label) else None


def _text_claims(evidence: Evidence, text: str) -> list[Claim]:
    claims = []
    for hit in _QUOTED.finditer(text):
        group = 1 if hit.group(1) else 2
        said = tokens(hit.group(group))
        if not said:
            continue
        found = _is_written(said, evidence)
        holds = found or (False if evidence.all_texts else None)
        claims.append(_claim("text", *hit.span(group), holds, hit.group(group), "nothing like it is written"))
    return claims


def _is_written(said: Sequence[str], evidence: Evidence) -> bool:
    """Whether words stand in one text, or in all texts in their order, but for a few letters."""
    wanted = " ".join(said)
    written = [tokens(one.text) for one in evidence.texts]
    for words in (*written, [word for own in written for word in own]):
        for start in range(max(1, len(words) - len(said) + 1)):
            piece = " ".join(words[start : start + len(said)])
            if piece and difflib.SequenceMatcher(None, wanted, piece, autojunk=False).ratio() >= SAME_TEXT:
                return True
    return False
