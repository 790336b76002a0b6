"""The verifier. It checks claims about things and their places against the evidence of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vila2.plugin import Box, Claim, Evidence, SceneObject, iou

from vila2_grounding.phrases import lemma, normal, spoken

#: Overlap from which on a box is on a thing, and overlap under which nothing of the kind is at a box.
SAME, ELSEWHERE = 0.5, 0.1


def verify(claims: Sequence[Claim], evidence: Evidence) -> tuple[Claim, ...]:
    """Checks every claim of kind "object". Other claims stay as they are.

    A claim is supported when its box is on a thing of its label and the thing's name does not disagree. A
    claim is contradicted when the evidence lists all things of the label and has none of them, or none at the
    box. Every other claim stays unverified.
    """
    return tuple(_verified(claim, evidence) if claim.kind == "object" else claim for claim in claims)


def _verified(claim: Claim, evidence: Evidence) -> Claim:
    words = normal(claim.subject).split()
    labels = {_label(label) for label in (*evidence.labels, *(thing.label for thing in evidence.objects))}
    label = max((one for one in labels if words[-len(one.split()) :] == one.split()), key=len, default=None)
    if label is None:
        return claim
    own = [thing for thing in evidence.objects if _label(thing.label) == label]
    complete = evidence.all_objects and label in set(map(_label, evidence.labels))
    if complete and not own:
        return replace(claim, status="contradicted", detail=f"no {label} in the image")
    if not claim.boxes:
        return claim
    overlaps = [(_overlap(claim.boxes, one.box), _agrees(words, one), one.called) for one in own if one.box]
    on = [(agrees, overlap, called) for overlap, agrees, called in overlaps if overlap >= SAME]
    if on:
        agrees, overlap, called = max(on)
        return replace(
            claim,
            status="supported" if agrees else "unverified",
            detail=f"IoU {overlap:.2f} with the {called}",
        )
    overlap = max((overlap for overlap, *_ in overlaps), default=0.0)
    if complete and overlap < ELSEWHERE and all(one.box for one in own):
        return replace(claim, status="contradicted", detail=f"no {label} there")
    return replace(claim, detail=f"IoU {overlap:.2f} with the nearest {label}")


def _overlap(boxes: Sequence[Box], box: Box) -> float:
    """The smallest overlap of any of the boxes with ``box``."""
    return min((iou(one, box) for one in boxes), default=0.0)


def _agrees(words: Sequence[str], thing: SceneObject) -> bool:
    """Whether the phrase and the thing's name agree.

    They agree when all words of one are in the other. "cube" and "large red cube" both agree with "red cube".
    """
    name = set(normal(thing.called).split())
    return set(words) <= name or name <= set(words)


def _label(label: str) -> str:
    before, space, noun = spoken(label).lower().rpartition(" ")
    return before + space + lemma(noun)
