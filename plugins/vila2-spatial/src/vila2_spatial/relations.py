"""Spatial relations from the camera's view, each with a margin below which it is neither true nor false.

Every question rests on these functions, and so does the check of its answer. Values are words; ``None`` is
"too near to call". All distances are between centers, or from the camera to a center.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vila2_spatial.cleaning import CleanScene, Thing

#: Left and right: gap of the boxes' centers, as a share of the image's width. Image and space must agree.
SIDE_GAP = 0.08
#: In front and behind: gap of the depth intervals, in meters and as a share of the nearer center's depth.
DEPTH_GAP, DEPTH_SHARE = 0.10, 0.05
#: Closest and farthest: gap to the runner-up, as a ratio of the distances and in meters.
EXTREME_RATIO, EXTREME_GAP = 1.2, 0.10
#: Left and right of the camera: gap of the box's center and the middle, as a share of the image's width.
CAMERA_SIDE_GAP = 0.10
#: Close to and far from the camera, in meters: below the first, above the second. Nothing is asked between.
#: "miniature" is the world of vila2's demonstration; "tabletop" is Objectron's.
DOMAINS: dict[str, tuple[float, float]] = {
    "indoor": (2.0, 4.0),
    "outdoor": (10.0, 30.0),
    "tabletop": (0.5, 1.2),
    "miniature": (3.8, 4.9),
}
#: A scene of unknown domain with something beyond this distance, in meters, is outdoor.
_INDOOR_DEPTH = 12.0

OBJECT_RELATIONS = ("closest", "front", "behind", "left", "right")
CAMERA_RELATIONS = (
    "camera_close", "camera_far", "camera_closest", "camera_farthest", "camera_left", "camera_right",
)  # fmt: skip
RELATIONS = OBJECT_RELATIONS + CAMERA_RELATIONS

OPPOSITE = {
    "left": "right",
    "right": "left",
    "front": "behind",
    "behind": "front",
    "camera_left": "camera_right",
    "camera_right": "camera_left",
    "camera_close": "camera_far",
    "camera_far": "camera_close",
    "camera_closest": "camera_farthest",
    "camera_farthest": "camera_closest",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A relation that holds.

    Attributes:
        relation: one of :data:`RELATIONS`.
        margin: amount by which it holds: a share of the width (left, right), meters (front, behind, close,
            far), or the ratio to the runner-up (closest, farthest).
        runner_up: thing that came next, as a place in ``Evidence.objects``; None where there is none.
    """

    relation: str
    margin: float
    runner_up: int | None = None


def side(one: Thing, other: Thing) -> Finding | None:
    """ "left" or "right": where ``one`` is, seen from the camera, against ``other``."""
    gap, space = one.u - other.u, one.centre[0] - other.centre[0]
    if abs(gap) < SIDE_GAP or gap * space <= 0:
        return None
    return Finding("left" if gap < 0 else "right", abs(gap))


def depth(one: Thing, other: Thing) -> Finding | None:
    """ "front" or "behind": ``one`` against ``other``, where their depth intervals lie apart."""
    near, far = (one, other) if one.far < other.far else (other, one)
    gap = far.near - near.far
    if gap < max(DEPTH_GAP, DEPTH_SHARE * near.centre[2]):
        return None
    return Finding("front" if near is one else "behind", gap)


def camera_side(one: Thing) -> Finding | None:
    """ "camera_left" or "camera_right", where image and space agree."""
    gap = one.u - 0.5
    if abs(gap) < CAMERA_SIDE_GAP or gap * one.centre[0] <= 0:
        return None
    return Finding("camera_left" if gap < 0 else "camera_right", abs(gap))


def camera_distance(one: Thing, domain: str) -> Finding | None:
    """ "camera_close" or "camera_far", outside of the domain's dead band."""
    close, far = DOMAINS[domain]
    if close < one.distance < far:
        return None
    return (
        Finding("camera_close", close - one.distance)
        if one.distance <= close
        else Finding("camera_far", one.distance - far)
    )


def between(one: Thing, other: Thing | None, relation: str, domain: str) -> bool | None:
    """Whether a relation without a superlative holds; None where it is too near to call."""
    found = _looked_for(one, other, relation, domain)
    return None if found is None else found.relation == relation


def _looked_for(one: Thing, other: Thing | None, relation: str, domain: str) -> Finding | None:
    """The relation that holds among those of the same kind; None where it is too near to call."""
    match relation:
        case "left" | "right" if other:
            return side(one, other)
        case "front" | "behind" if other:
            return depth(one, other)
        case "camera_left" | "camera_right":
            return camera_side(one)
        case _:
            return camera_distance(one, domain)


def nearer(one: Thing, other: Thing, to: Thing | None) -> Finding | None:
    """Whether ``one`` is clearly nearer ("closest") or farther ("farthest") than ``other``.

    Args:
        one: thing that is compared with ``other``.
        to: thing that the distances are measured from; None for the camera. For the camera, the nearest
            corners must agree with the centers: a long truck may begin before a car and have its middle
            behind it.
    """
    here, there = (x.distance_to(to) if to else x.distance for x in (one, other))
    low, high = min(here, there), max(here, there)
    if high < EXTREME_RATIO * low or high - low < EXTREME_GAP:
        return None
    if to is None and (one.near - other.near) * (here - there) <= 0:
        return None
    word = "closest" if here < there else "farthest"
    return Finding(word if to else f"camera_{word}", high / low if low else float("inf"), other.number)


def extreme(group: Sequence[Thing], to: Thing | None, relation: str) -> tuple[Thing, Finding] | None:
    """The one of two or more things that is closest or farthest, where every other is clearly not."""
    if len(group) < 2:
        return None
    ranked = sorted(
        group,
        key=lambda one: one.distance_to(to) if to else one.distance,
        reverse=relation.endswith("farthest"),
    )
    findings = [nearer(ranked[0], other, to) for other in ranked[1:]]
    if any(found is None or found.relation != relation for found in findings):
        return None
    next_to_it = findings[0]
    return None if next_to_it is None else (ranked[0], next_to_it)


def only_one(
    scene: CleanScene, label: str | None, relation: str, anchor: Thing | None
) -> tuple[Thing, Finding] | None:
    """The only thing of a label in a relation, where it is clear of all others of that label.

    Args:
        scene: scene with all that competes for the answer.
        label: category of the thing; None for any thing of a scene that is known completely.
        relation: one of :data:`RELATIONS`.
        anchor: thing that the relation refers to; None for the camera.

    Returns:
        The thing and the finding. None where no thing or more than one is in the relation, one is too near to
        call or not to be asked about, or an unlabeled region may hold another.
    """
    if label is None and not scene.complete:
        return None
    group = [one for one in scene.present if one is not anchor and (label is None or one.label == label)]
    if relation in ("closest", "camera_closest", "camera_farthest"):
        found = extreme(group, anchor, relation)
        # KITTI leaves out things too far to label: one may be the farthest from the camera, not the closest.
        if scene.unlabelled and relation != "camera_closest":
            return None
    else:
        states = [between(one, anchor, relation, scene.domain) for one in group]
        if None in states or states.count(True) != 1 or scene.unlabelled:
            return None
        thing = group[states.index(True)]
        found = thing, finding(thing, anchor, relation, scene.domain)
    return found if found and found[0] in scene.things else None


def finding(one: Thing, other: Thing | None, relation: str, domain: str) -> Finding:
    """The finding for a relation that is known to hold."""
    found = _looked_for(one, other, relation, domain)
    assert found is not None and found.relation == relation
    return found


def domain_of(told: str | None, depths: Sequence[float]) -> str:
    """The domain that is told, if it is known; otherwise the one that the distances of the things suggest."""
    if told in DOMAINS:
        return told
    return "outdoor" if any(value > _INDOOR_DEPTH for value in depths) else "indoor"
