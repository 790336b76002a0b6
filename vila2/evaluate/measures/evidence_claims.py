"""The check of a caption against evidence: what a detector saw, an OCR read, or people drew boxes around.

Where the truth is not known, agreement with another look at the image stands in for it. The claims of a
caption are read in the same way as in verify and merge (:mod:`vila2.claims.reading`). Four kinds of claims
are checked: things, by the evidence's labels (:mod:`vila2.evaluate.measures.thing_words`); counts of things;
their relations in space; and written text. Nothing else in a caption is checked, so every precision needs
:func:`coverage` beside it.
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

#: Share of equal characters from which on a quoted text agrees with a written one.
SAME_TEXT = 0.8
_SIDES: Mapping[str, tuple[Axis, int]] = {
    "left": ("left/right", -1), "right": ("left/right", 1), "above": ("above/below", -1),
    "below": ("above/below", 1), "front": ("front/behind", -1), "behind": ("front/behind", 1),
}  # fmt: skip
_SAY_WHERE = frozenset(
    ("left", "right", "above", "top", "below", "under", "underneath", "beneath", "front", "behind")
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def known_labels(evidence: Iterable[Evidence]) -> tuple[str, ...]:
    """Lists all labels that occur in several images' evidence, in alphabetical order."""
    return tuple(
        sorted({label for one in evidence for label in (*one.labels, *(o.label for o in one.objects))})
    )


def check_against_evidence(evidence: Evidence, text: str, labels: Sequence[str]) -> tuple[Claim, ...]:
    """Checks the claims of a text about things and about written text.

    A missing thing or a wrong count is contradicted only where the evidence lists all objects of the label,
    and a written text only where it lists all texts. Claims that it cannot decide are unverified.

    Args:
        evidence: evidence of the image.
        text: caption.
        labels: labels that count as things, as :func:`known_labels` gives them.

    Returns:
        The claims in the order of their first characters; their subjects and objects are labels.
    """
    words = _words(tuple(labels))
    claims = []
    for start, end in sentence_spans(text):
        sentence = text[start:end]
        for claim in read_claims(sentence, words.vocabulary):
            claims += [
                replace(one, start=start + one.start, end=start + one.end)
                for one in _checked(evidence, claim, sentence, words)
            ]
    return tuple(sorted(claims, key=lambda claim: (claim.start, claim.end, claim.kind)))


def coverage(claims: Sequence[Claim], text: str) -> tuple[int, int]:
    """Counts the content words of a text that stand in a decided claim.

    In a relation only the words that state it count, such as "left": its things are claims of their own.

    Returns:
        The number of words in decided claims, and the number of all content words.
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
    """The names that mean a thing: labels, their synonyms, and phrases that only look like one.

    Args:
        labels: labels that count as things.

    Attributes:
        vocabulary: vocabulary of all these names, by which names without an article are found.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        # A label's own name comes before another's synonym.
        self._label_of = {name_of(word): label for label in reversed(labels) for word in words_for(label)}
        self._label_of |= {name_of(label): label for label in labels}
        others = {name_of(phrase) for phrase in NOT_THINGS} - self._label_of.keys()
        self._label_of |= dict.fromkeys(others, "")
        self.vocabulary = Vocabulary.of(self._label_of)

    def meant(self, called: str) -> tuple[str, Name]:
        """Finds the label of what a text names.

        Returns:
            The label, "" where there is none, and the last words of the name, which mean it.
        """
        name = name_of(called)
        for first in range(len(name)):
            if (label := self._label_of.get(name[first:])) is not None:
                return label, name[first:]
        return "", ()

    def is_label(self, name: Name) -> bool:
        """Tells whether a name is that of a label; a synonym may mean only some of its things."""
        return name_of(self._label_of[name]) == name


_words = lru_cache(maxsize=16)(_Words)


def _checked(evidence: Evidence, claim: Claim, sentence: str, words: _Words) -> Iterator[Claim]:
    """Checks a claim as it was read. A count also claims that the thing is there."""
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
    """Checks that such a thing is there. Its last words say so; of the words before them nothing is known."""
    said = list(_WORD.finditer(sentence, claim.start, claim.end))[-words:]
    there = any(thing.label == claim.subject for thing in evidence.objects)
    holds = there or (False if _is_complete(evidence, claim.subject) else None)
    thing = Claim("object", said[0].start(), claim.end, "unverified", subject=claim.subject)
    return _decided(thing, holds, f"no {claim.subject} among the objects")


def _count(evidence: Evidence, claim: Claim, *, exact: bool) -> Claim:
    said, actual = int(claim.value), sum(thing.label == claim.subject for thing in evidence.objects)
    # "Two men" among three people may be right, so for a synonym only a count that is too high is wrong.
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
    # A quoted text need not be written in the image.
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
    """The one thing of a label; None where there are several, or perhaps others."""
    things = [thing for thing in evidence.objects if thing.label == label]
    return things[0] if len(things) == 1 and _is_complete(evidence, label) else None


def _is_written(said: Sequence[str], evidence: Evidence) -> bool:
    """Whether the words, but for a few letters, stand in one text or in all texts one after another."""
    wanted = " ".join(said)
    written = [tokens(one.text) for one in evidence.texts]
    for words in (*written, [word for own in written for word in own]):
        for start in range(max(1, len(words) - len(said) + 1)):
            piece = " ".join(words[start : start + len(said)])
            if piece and difflib.SequenceMatcher(None, wanted, piece, autojunk=False).ratio() >= SAME_TEXT:
                return True
    return False
