"""A caption against evidence: what a detector saw, an OCR read, or people drew boxes about.

Where the truth is not known there is at least agreement with somebody who looked another way. What a caption claims is
read as verify and merge read it (:mod:`vila2.claims.reading`); judged are things by the evidence's labels
(:mod:`vila2.evaluate.measures.thing_words`), counts of them, their places to each other, and written text. Nothing else a caption says
is judged here, which is why :func:`coverage` belongs beside every precision.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from vila2.claims.names import Name, Vocabulary, name_of
from vila2.claims.reading import read_claims
from vila2.claims.sentences import sentence_spans
from vila2.data.claims import Claim
from vila2.data.evidence import Evidence, SceneObject
from vila2.evaluate.measures.looking import FUNCTION_WORDS
from vila2.evaluate.measures.placing import Axis, relation
from vila2.evaluate.measures.text import tokens
from vila2.evaluate.measures.thing_words import NOT_THINGS, words_for

#: A quoted text agrees with a written one from this share of equal characters on.
SAME_TEXT = 0.8
_SIDES: Mapping[str, tuple[Axis, int]] = {
    "left": ("left/right", -1), "right": ("left/right", 1), "above": ("above/below", -1), "below": ("above/below", 1),
    "front": ("front/behind", -1), "behind": ("front/behind", 1),
}  # fmt: skip
_SAY_WHERE = frozenset(
    ("left", "right", "above", "top", "below", "under", "underneath", "beneath", "front", "behind")
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


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

    Returns:
        claims whose subjects and objects are labels.
    """
    words = _words(tuple(labels))
    claims = []
    for start, end in sentence_spans(text):
        sentence = text[start:end]
        for claim in read_claims(sentence, words.vocabulary):
            claims += [
                replace(one, start=start + one.start, end=start + one.end)
                for one in _judged(evidence, claim, sentence, words)
            ]
    return tuple(sorted(claims, key=lambda claim: (claim.start, claim.end, claim.kind)))


def coverage(claims: Sequence[Claim], text: str) -> tuple[int, int]:
    """How many content words of a text stand in a decided claim, and how many there are.

    Of a relation only the words that say it: of its things nothing else than that they are there was looked at.
    """
    decided = [claim for claim in claims if claim.status != "unverified"]
    words = [hit for hit in _WORD.finditer(text) if hit.group().lower() not in FUNCTION_WORDS]
    covered = sum(
        any(
            one.start < word.end() and word.start() < one.end
            and (one.kind != "relation" or word.group().lower() in _SAY_WHERE)
            for one in decided
        )
        for word in words
    )  # fmt: skip
    return covered, len(words)


class _Words:
    """What means a thing: the names of labels and of their synonyms, and those that only seem to.

    Attributes:
        vocabulary: of all of them, by which bare names are found.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        # A label's own name comes before another's synonym.
        self._label_of = {name_of(word): label for label in reversed(labels) for word in words_for(label)}
        self._label_of |= {name_of(label): label for label in labels}
        others = {name_of(phrase) for phrase in NOT_THINGS} - self._label_of.keys()
        self._label_of |= dict.fromkeys(others, "")
        self.vocabulary = Vocabulary.of(self._label_of)

    def meant(self, called: str) -> tuple[str, Name]:
        """The label of what a text names, "" where it has none, and the part of the name that says it: its last words."""
        name = name_of(called)
        for first in range(len(name)):
            if (label := self._label_of.get(name[first:])) is not None:
                return label, name[first:]
        return "", ()

    def is_label(self, name: Name) -> bool:
        """Whether a name is that of a label and no synonym, which may mean only some of its things."""
        return name_of(self._label_of[name]) == name


_words = lru_cache(maxsize=16)(_Words)


def _judged(evidence: Evidence, claim: Claim, sentence: str, words: _Words) -> Iterator[Claim]:
    if claim.kind == "text":
        yield _text(evidence, claim)
        return
    label, name = words.meant(claim.subject)
    if not label:
        return
    if claim.kind == "relation":
        other, _ = words.meant(claim.object)
        if other:
            yield _relation(evidence, replace(claim, subject=label, object=other))
        return
    claim = replace(claim, subject=label)
    yield _object(evidence, claim, sentence, len(" ".join(name).split()))
    if claim.kind == "count":
        yield _count(evidence, claim, exact=words.is_label(name))


def _object(evidence: Evidence, claim: Claim, sentence: str, words: int) -> Claim:
    """That such a thing is there: said by the last words of the phrase; of what stands before them nothing is known."""
    said = list(_WORD.finditer(sentence, claim.start, claim.end))[-words:]
    there = any(thing.label == claim.subject for thing in evidence.objects)
    holds = there or (False if _is_complete(evidence, claim.subject) else None)
    thing = Claim("object", said[0].start(), claim.end, "unverified", subject=claim.subject)
    return _decided(thing, holds, f"no {claim.subject} among the objects")


def _count(evidence: Evidence, claim: Claim, *, exact: bool) -> Claim:
    said, actual = int(claim.value), sum(thing.label == claim.subject for thing in evidence.objects)
    # "Two men" among three people may be right: of a synonym only too few contradict.
    more = claim.predicate == "at least" if exact else None
    holds = actual == said if actual <= said else more
    complete = _is_complete(evidence, claim.subject)
    return _decided(claim, holds if complete else None, f"there are {actual}, not {said}")


def _relation(evidence: Evidence, claim: Claim) -> Claim:
    axis, side = _SIDES.get(claim.predicate, (None, 0))
    one, other = _only(evidence, claim.subject), _only(evidence, claim.object)
    found = relation(one, other, axis) if axis and one and other and one is not other else None
    return _decided(claim, None if found is None else found == side, "they stand the other way")


def _text(evidence: Evidence, claim: Claim) -> Claim:
    said = tokens(claim.value)
    # What is quoted need not be writing.
    missing = None if claim.predicate == "quoted" or not evidence.all_texts else False
    holds = (_is_written(said, evidence) or missing) if said else None
    return _decided(claim, holds, "nothing like it is written")


def _decided(claim: Claim, holds: bool | None, detail: str) -> Claim:
    if holds is None:
        return claim
    return (
        replace(claim, status="supported") if holds else replace(claim, status="contradicted", detail=detail)
    )


def _is_complete(evidence: Evidence, label: str) -> bool:
    return evidence.all_objects and (not evidence.labels or label in evidence.labels)


def _only(evidence: Evidence, label: str) -> SceneObject | None:
    things = [thing for thing in evidence.objects if thing.label == label]
    return things[0] if len(things) == 1 and _is_complete(evidence, label) else None


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
