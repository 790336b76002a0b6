"""Judges a claim by the specialists' evidence: plugins' own verifiers first, then general rules.

A name may stand for several things. A claim is supported if it holds for one reading of its names,
contradicted if it is clearly wrong for all of them, and unverified otherwise. Something is known to be absent
only if a specialist that finds such things looked for them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from vila2.claims.names import ANY, Name, agree, clash, name_of
from vila2.data.claims import Claim, ClaimStatus
from vila2.merge.known import Known, Stated, Thing
from vila2.merge.places import best_match, match
from vila2.plugin.verifying import Verifier, call_verifier

#: Centers closer than this share of the image are neither left nor right, above nor below, of each other.
_GAP = 0.05
#: Distances from the image's center: closer than the first is in the middle, farther than the second at a
#: side.
_IN_MIDDLE, _AT_SIDE = 0.15, 0.25
_OPPOSITE = {"left": "right", "front": "behind", "above": "below", "camera_left": "camera_right",
             "camera_close": "camera_far", "camera_closest": "camera_farthest"}  # fmt: skip
_OPPOSITE |= {two: one for one, two in _OPPOSITE.items()}
_WORD = re.compile(r"\w+")

#: Horizontal or vertical.
Axis = Literal[0, 1]


@dataclass(frozen=True, slots=True)
class NamedVerifier:
    """A plugin's verifier, its name for errors, and its verdicts so far, counted."""

    of: str
    verify: Verifier
    said: Counter[str] = field(default_factory=Counter, compare=False)


def judged(claims: Sequence[Claim], known: Known, verifiers: Iterable[NamedVerifier] = ()) -> list[Claim]:
    """Claims with the verdict of the evidence: by plugins' verifiers first, then by the rules here.

    Raises:
        PluginError: a verifier fails, or returns other claims than it was given.
    """
    found = [replace(claim, status="unverified", detail="") for claim in claims]
    for verifier in verifiers:
        open_ones = [number for number, claim in enumerate(found) if claim.status == "unverified"]
        if not open_ones:
            break
        given = [replace(found[number], detail="") for number in open_ones]
        answers = call_verifier(
            verifier.verify, given, known.evidence_about(given), known.context, of=verifier.of
        )
        verifier.said.update(one.status for one in answers)
        for number, answer in zip(open_ones, answers, strict=True):
            found[number] = replace(found[number], status=answer.status, detail=answer.detail)
    return [_judge(claim, known) if claim.status == "unverified" else claim for claim in found]


def within_reach(claim: Claim, known: Known) -> bool:
    """Whether the specialists find such things at all; about others nothing can be known."""
    if claim.kind == "text":
        return known.all_texts or bool(known.written)
    heads = {one.name[-1] for one in known.things} | known.found
    named = [name_of(name)[-1:] for name in (claim.subject, claim.object) if name]
    return bool(heads) and all(head and (head[0] in heads or head[0] in ANY) for head in named)


def _judge(claim: Claim, known: Known) -> Claim:
    rule = {"object": _object, "count": _count, "text": _text, "relation": _relation}.get(claim.kind)
    status, detail = rule(claim, known) if rule else ("unverified", "")
    return replace(claim, status=status, detail=detail or claim.detail)


_Verdict = tuple[ClaimStatus, str]
_OPEN: _Verdict = ("unverified", "")


def _object(claim: Claim, known: Known) -> _Verdict:
    name = name_of(claim.subject)
    own = known.meant(name)
    looked_for = bool(name) and name[-1] in known.labels
    if claim.places:
        best = best_match(claim.places, [one.place for one in own])
        if best == "same":
            return "supported", ""
        refuted = looked_for and best == "elsewhere"
        return ("contradicted", f"no {claim.subject} there") if refuted else _OPEN
    if own:
        return "supported", ""
    alike = [one for one in known.things if name and one.name[-1] == name[-1]]
    if looked_for and all(clash(name, one.name) for one in alike):
        return "contradicted", f"no {claim.subject} was found"
    return _OPEN


def _count(claim: Claim, known: Known) -> _Verdict:
    name = name_of(claim.subject)
    if not claim.value.isdigit() or not name:
        return _OPEN
    # A thing that is called a cube, without a color, may be a red one: then nothing can be counted.
    vague = [one for one in known.meant(name) if not set(name[:-1]) <= set(one.name[:-1])]
    number, claimed = len(known.meant(name)), int(claim.value)
    looked_for = bool(known.labels) if name[-1] in ANY else name[-1] in known.labels
    if vague or not number:
        return _OPEN
    if number == claimed:
        return "supported", ""
    # More things than claimed refute the number by themselves; fewer only where none can be missing.
    refuted = claim.predicate != "at least" if number > claimed else looked_for
    return ("contradicted", f"{number} found") if refuted else _OPEN


def _text(claim: Claim, known: Known) -> _Verdict:
    quote = _WORD.findall(claim.value.lower())
    if not quote:
        return _OPEN
    on = name_of(claim.subject)
    everything: list[tuple[list[str], Name]] = [
        (_WORD.findall(text.lower()), name) for text, name in known.written
    ]
    own = [words for words, name in everything if on and name and agree(on, name)]
    among = own or [words for words, _ in everything]
    if any(_follows(quote, words) for words in among) or _joined_from(quote, among):
        return "supported", ""
    if claim.predicate == "quoted":
        return _OPEN
    if own:
        return "contradicted", f"it says {' '.join(own[0])!r}"
    return ("contradicted", "no such text was read") if known.all_texts else _OPEN


def _follows(quote: list[str], words: list[str]) -> bool:
    return any(words[at : at + len(quote)] == quote for at in range(len(words) - len(quote) + 1))


def _joined_from(quote: list[str], among: Sequence[list[str]]) -> bool:
    """Whether a quote is several whole texts in succession, such as the lines of a sign."""
    reached = {0}
    for place in range(len(quote)):
        if place in reached:
            reached |= {
                place + len(words) for words in among if words and quote[place : place + len(words)] == words
            }
    return len(quote) in reached


def _relation(claim: Claim, known: Known) -> _Verdict:
    by_boxes = _by_boxes(claim, known)
    return by_boxes if by_boxes[0] != "unverified" else _by_words(claim, known.stated)


def _by_boxes(claim: Claim, known: Known) -> _Verdict:
    """Judges left, right, above and below by the centers of boxes, which do not show depth.

    Above and below are refuted only by boxes that do not overlap vertically.
    """
    subjects = _placed(claim, 0, known)
    if claim.predicate == "camera_middle":
        return _in_the_middle(subjects)
    if claim.predicate not in ("left", "right", "above", "below", "camera_left", "camera_right"):
        return _OPEN
    if claim.predicate.startswith("camera_"):
        gaps = {_middle(one, 0) - 0.5 for one in subjects}
        apart = True
    else:
        pairs = [(one, other) for one in subjects for other in _placed(claim, 1, known) if one != other]
        axis: Axis = 0 if claim.predicate in ("left", "right") else 1
        gaps = {_middle(one, axis) - _middle(other, axis) for one, other in pairs}
        # A plate on top of a table has its center below the table's.
        reaches = [(one.reach(1), other.reach(1)) for one, other in pairs]
        apart = axis == 0 or all(a[1] <= b[0] or b[1] <= a[0] for a, b in reaches)
    before = claim.predicate in ("left", "above", "camera_left")
    if any(abs(gap) >= _GAP and (gap < 0) == before for gap in gaps):
        return "supported", ""
    if apart and gaps and all(abs(gap) >= _GAP for gap in gaps):
        return "contradicted", f"it is {_OPPOSITE[claim.predicate].removeprefix('camera_')}"
    return _OPEN


def _in_the_middle(subjects: Sequence[Thing]) -> _Verdict:
    off = min((abs(_middle(one, 0) - 0.5) for one in subjects), default=None)
    if off is None or _IN_MIDDLE <= off <= _AT_SIDE:
        return _OPEN
    return ("supported", "") if off < _IN_MIDDLE else ("contradicted", "it is at the side")


def _placed(claim: Claim, which: Literal[0, 1], known: Known) -> list[Thing]:
    """The things that a side of a relation can mean: those of its name, and of its place where it has one."""
    name = name_of(claim.object if which else claim.subject)
    found = known.meant(name)
    if len(claim.places) > which:
        found = [one for one in found if match(one.place, claim.places[which]) == "same"]
    return found


def _middle(thing: Thing, axis: Axis) -> float:
    """The center of a thing, horizontal (0) or vertical (1), as a share of the image."""
    return sum(thing.reach(axis)) / 2


def _by_words(claim: Claim, stated: Sequence[Stated]) -> _Verdict:
    """Judges a relation by what others state of the same two things, in this order or the other."""
    opposite = _OPPOSITE.get(claim.predicate)
    if opposite is None:
        return _OPEN
    subject, other = name_of(claim.subject), name_of(claim.object)
    said = set()
    for one in stated:
        if agree(subject, one.subject) and (agree(other, one.object) or not (other or one.object)):
            said.add(one.predicate)
        elif other and agree(subject, one.object) and agree(other, one.subject):
            said.add(_OPPOSITE.get(one.predicate, ""))
    if claim.predicate in said:
        return ("supported", "") if opposite not in said else _OPEN
    return ("contradicted", f"another says {opposite.removeprefix('camera_')}") if opposite in said else _OPEN


def verdict_of(claims: Sequence[Claim], known: Known) -> ClaimStatus:
    """A sentence's verdict.

    It is contradicted if one of its claims is. It is supported if at least one claim is, and no claim within
    reach of the specialists is left open.
    """
    statuses = {claim.status for claim in claims}
    if "contradicted" in statuses:
        return "contradicted"
    left_open = any(claim.status == "unverified" and within_reach(claim, known) for claim in claims)
    return "supported" if "supported" in statuses and not left_open else "unverified"
