"""Checks spatial claims from any author against the evidence of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vila2.plugin import Box, Claim, Evidence, SceneObject, iou

from vila2_spatial import relations
from vila2_spatial.cleaning import BACKGROUND, UNLABELLED, Thing, thing_of
from vila2_spatial.relations import CAMERA_RELATIONS, OPPOSITE, RELATIONS

#: Names of a relation in other annotations.
_CALLED = {
    "left of": "left",
    "to the left of": "left",
    "right of": "right",
    "to the right of": "right",
    "in front of": "front",
    "closest to": "closest",
    "nearest to": "closest",
}
#: A claim's box means a known one where their overlap is at least this.
_SAME = 0.5
#: Words for sizes, which are no part of a name here.
_SIZES = {"small", "large", "big", "little", "tiny", "huge"}
_SUPERLATIVE = ("closest", "camera_closest", "camera_farthest")
_JUDGED = frozenset(RELATIONS) - {"camera_close", "camera_far"}


def verify(claims: Sequence[Claim], evidence: Evidence) -> tuple[Claim, ...]:
    """Judges relations. Other claims, and those that the evidence cannot decide, stay as they are.

    A name may stand for several things. A claim is supported where it holds for one reading of its names, and
    contradicted where it is clearly wrong for all readings. Left and right need boxes; the others need
    solids. Close and far stay unjudged, because they depend on the domain of the scene, which the evidence
    does not give.
    """
    return tuple(_judged(claim, evidence) for claim in claims)


def _judged(claim: Claim, evidence: Evidence) -> Claim:
    predicate = _CALLED.get(claim.predicate, claim.predicate)
    if claim.kind != "relation" or predicate not in _JUDGED:
        return claim
    boxes = list(claim.boxes)
    subjects = _meant(claim.subject, boxes[0] if boxes else None, evidence)
    objects: list[int | None] = [None]
    if predicate not in CAMERA_RELATIONS:
        objects = list(_meant(claim.object, boxes[1] if len(boxes) > 1 else None, evidence))
    verdicts = {
        _holds(one, other, predicate, evidence) for one in subjects for other in objects if one != other
    }
    if True in verdicts:
        return replace(claim, status="supported")
    if verdicts != {False}:
        return claim
    detail = (
        "another one is"
        if predicate in _SUPERLATIVE
        else f"it is {OPPOSITE[predicate].removeprefix('camera_')}"
    )
    return replace(claim, status="contradicted", detail=detail)


def _meant(name: str, box: Box | None, evidence: Evidence) -> list[int]:
    """The objects that a name can mean, together with a box where there is one."""
    words = set(name.lower().split()) - _SIZES
    return [
        number
        for number, one in enumerate(evidence.objects)
        if one.label not in UNLABELLED
        and _fits(words, one)
        and (box is None or one.box is None or iou(box, one.box) >= _SAME)
    ]


def _fits(words: set[str], one: SceneObject) -> bool:
    """Whether words can mean a thing.

    "cube" can mean the "red cube", but "green cube" cannot. "parked car" can mean a thing labeled "car".
    """
    label, own = set(one.label.lower().split()), set(one.called.lower().split())
    return bool(words) and (words <= own | label or (own == label and label <= words))


def _holds(one: int, other: int | None, predicate: str, evidence: Evidence) -> bool | None:
    """Whether a relation holds; None where the evidence does not decide it."""
    first, second = thing_of(evidence, one), None if other is None else thing_of(evidence, other)
    if first is None or (other is not None and second is None):
        return _flat(one, other, predicate, evidence)
    if predicate in _SUPERLATIVE:
        return _superlative(first, second, predicate, evidence)
    return relations.between(first, second, predicate, "indoor")  # no domain matters for these


def _superlative(first: Thing, target: Thing | None, predicate: str, evidence: Evidence) -> bool | None:
    """Whether a superlative holds.

    It is wrong where one thing is clearly further to the extreme, and right where all things are known and
    none is. Otherwise the result is None.
    """
    rivals = [
        thing
        for number, known in enumerate(evidence.objects)
        if known.label not in BACKGROUND and (thing := thing_of(evidence, number)) is not None
        and thing.number not in (first.number, target.number if target else None)
    ]  # fmt: skip
    found = [relations.nearer(first, rival, target) for rival in rivals]
    if any(one is not None and one.relation != predicate for one in found):
        return False
    return True if rivals and evidence.all_objects and None not in found else None


def _flat(one: int, other: int | None, predicate: str, evidence: Evidence) -> bool | None:
    """Left and right from boxes alone; the image cannot tell depth."""
    first = evidence.objects[one].box
    second = None if other is None else evidence.objects[other].box
    if first is None or (other is not None and second is None):
        return None
    gap = _middle(first) - (0.5 if second is None else _middle(second))
    if predicate in ("left", "right") and other is not None:
        return None if abs(gap) < relations.SIDE_GAP else (gap < 0) == (predicate == "left")
    if predicate in ("camera_left", "camera_right"):
        return None if abs(gap) < relations.CAMERA_SIDE_GAP else (gap < 0) == (predicate == "camera_left")
    return None


def _middle(box: Box) -> float:
    return (box[0] + box[2]) / 2
