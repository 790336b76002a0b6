"""Cleaning a scene: of what can be asked, and what only competes for an answer; every refusal with its reason.

Omni3D's own rule of what to ignore (truncation of .99, visibility of .01) is made for detectors. A question needs a
thing that a person would find at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from vila2.plugin import Box, Evidence, SceneObject, iou

from vila2_spatial.geometry import clipped_silhouette, contains, cut_off, extent, projected_box

#: More than this share outside of the image, and a thing is not asked of.
MOST_TRUNCATED = 0.5
#: Less than this share visible, and it is not asked of.
LEAST_VISIBLE = 0.3
#: Lower than this, in pixels, and it is not asked of; in images of less than 240 lines the same share of them.
LEAST_HEIGHT, FULL_LINES = 25.0, 240.0
#: Two boxes with a greater overlap are one thing labelled twice, or cannot be told apart by their boxes.
DUPLICATE_IOU = 0.9
#: A solid that holds this share of another one is a container (a room, a shelf): left of it says nothing.
CONTAINED = 0.9
#: A labelled and a projected box that overlap less than this: one of the labels is wrong.
LEAST_AGREEMENT = 0.3
#: Overlap of silhouettes in depth, in metres, below which neither solid hides the other.
_SAME_DEPTH = 0.05

#: What a scene stands in rather than holds.
BACKGROUND = frozenset({"wall", "floor", "ceiling", "room", "floor mat", "carpet", "rug", "stairs", "building",
                        "road", "sidewalk", "ground", "grass", "terrain", "sky", "parking lot",
                        "other structure", "otherstructure"})  # fmt: skip
#: Labels that name nothing a person would say.
VAGUE = frozenset({"misc", "void", "other", "other furniture", "other prop", "otherfurniture", "otherprop", "unknown",
                   "object", "debris", "animal or other"})  # fmt: skip
#: A region where things may stand that nobody labelled.
UNLABELLED = frozenset({"unlabelled", "dontcare", "dont care", "ignore"})


@dataclass(frozen=True, slots=True)
class Thing:
    """An object as relations see it.

    Attributes:
        number: its place in ``Evidence.objects``.
        label, called: its category, and how to speak of it.
        box: the projection of its solid, clipped, unit xyxy.
        centre: metres, camera frame.
        near, far: the depth interval of its solid, metres.
    """

    number: int
    label: str
    called: str
    box: Box
    centre: tuple[float, float, float]
    near: float
    far: float

    @property
    def u(self) -> float:
        """Horizontal centre of the box, in unit image coordinates."""
        return (self.box[0] + self.box[2]) / 2

    @property
    def distance(self) -> float:
        """From the camera to the centre, metres."""
        return float(np.linalg.norm(self.centre))

    def distance_to(self, other: Thing) -> float:
        """Between the centres, metres."""
        return float(np.linalg.norm(np.subtract(self.centre, other.centre)))


@dataclass(frozen=True, slots=True)
class Refusal:
    """An object that nothing is asked of, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class CleanScene:
    """A scene to ask about.

    Attributes:
        things: of which can be asked.
        others: of which cannot, but which a viewer may count as an answer all the same.
        unlabelled: boxes of regions in which anything may stand.
        refusals: every object that is not in ``things``.
        complete: whether everything in the image is labelled, so that "which object" can be asked.
        domain: decides what is close and far, and the words.
    """

    things: tuple[Thing, ...]
    others: tuple[Thing, ...]
    unlabelled: tuple[Box, ...]
    refusals: tuple[Refusal, ...]
    complete: bool
    domain: str

    @property
    def present(self) -> tuple[Thing, ...]:
        """Things and others."""
        return self.things + self.others

    def named_alone(self, thing: Thing) -> bool:
        """Whether its name alone says which thing is meant."""
        return not self.unlabelled and sum(one.called == thing.called for one in self.present) == 1


@dataclass(frozen=True, slots=True)
class CleaningLimits:
    """The limits that a user may set; see the constants of this module."""

    truncation: float = MOST_TRUNCATED
    visibility: float = LEAST_VISIBLE
    height: float = LEAST_HEIGHT


def thing_of(evidence: Evidence, number: int) -> Thing | None:
    """An object with its projection; None where it has no solid or none of it is in the image."""
    one = evidence.objects[number]
    if one.solid is None or evidence.camera is None:
        return None
    box = projected_box(one.solid, evidence.camera)
    if box is None:
        return None
    near, far = extent(one.solid)[2]
    return Thing(number, one.label, one.called, box, one.solid.centre, near, far)


def clean(evidence: Evidence, domain: str, limits: CleaningLimits | None = None) -> CleanScene:
    """Sorts the objects of a scene.

    Args:
        evidence: with solids and a camera.
        domain: kept for later.
        limits: by default those of this module.
    """
    limits = limits or CleaningLimits()
    things: list[Thing] = []
    others: list[Thing] = []
    refusals: list[Refusal] = []
    for number, one in enumerate(evidence.objects):
        thing = thing_of(evidence, number)
        reason = _unusable(one, thing)
        if reason is None and thing is not None:
            if any(iou(thing.box, other.box) > DUPLICATE_IOU for other in (*things, *others)):
                reason = "duplicate"
            reason = reason or _hard_to_find(evidence, one, thing, limits)
            if reason is None:
                things.append(thing)
                continue
        assert reason is not None  # what is no thing is unusable
        refusals.append(Refusal(number, reason))
        if thing is not None and reason not in ("background", "duplicate", "bad-solid", "behind-camera"):
            others.append(thing)
    holders = _containers(evidence, things)
    refusals += [Refusal(thing.number, "container") for thing in holders]
    regions = [one.box for one in evidence.objects if one.label in UNLABELLED and one.box]
    return CleanScene(
        tuple(thing for thing in things if thing not in holders),
        (*others, *holders),
        tuple(regions),
        tuple(sorted(refusals, key=lambda refusal: refusal.number)),
        evidence.all_objects and not regions,
        domain,
    )


def _unusable(one: SceneObject, thing: Thing | None) -> str | None:
    """Why nothing can be known of an object."""
    if one.label in UNLABELLED:
        return "unlabelled"
    if one.label in BACKGROUND:
        return "background"
    if one.label in VAGUE:
        return "vague-label"
    if one.solid is None:
        return "no-solid"
    if min(one.solid.dimensions) <= 0:
        return "bad-solid"
    if thing is None:
        return "out-of-image" if one.solid.centre[2] > 0 else "behind-camera"
    return "behind-camera" if one.solid.centre[2] <= 0 else None


def _hard_to_find(evidence: Evidence, one: SceneObject, thing: Thing, limits: CleaningLimits) -> str | None:
    """Why a person would not find an object at once, or not where its solid says."""
    assert one.solid is not None and evidence.camera is not None
    truncation = one.truncation if one.truncation is not None else cut_off(one.solid, evidence.camera)
    if truncation > limits.truncation:
        return "truncated"
    lines = evidence.camera.height
    if (thing.box[3] - thing.box[1]) * lines < limits.height * min(1.0, lines / FULL_LINES):
        return "small"
    visibility = one.visibility if one.visibility is not None else seen_share(evidence, thing.number)
    if visibility < limits.visibility:
        return "hidden"
    if one.box is not None and iou(one.box, thing.box) < LEAST_AGREEMENT:
        return "boxes-disagree"
    return None


def seen_share(evidence: Evidence, number: int) -> float:
    """Share of a solid's silhouette in the image that no nearer solid's silhouette covers, 0..1.

    Silhouettes are those of the boxes, so this is a lower bound: used where the data set does not say.
    """
    one = evidence.objects[number]
    assert one.solid is not None and evidence.camera is not None
    own = clipped_silhouette(one.solid, evidence.camera)
    nearest = extent(one.solid)[2][0]
    covers = [
        clipped_silhouette(other.solid, evidence.camera)
        for other in evidence.objects
        if other.solid is not None
        and other is not one
        and other.label not in BACKGROUND
        and extent(other.solid)[2][0] < nearest - _SAME_DEPTH
        and not contains(other.solid, one.solid, CONTAINED)
    ]
    return shapely.difference(own, shapely.union_all(covers)).area / own.area if own.area > 0 else 0.0


def _containers(evidence: Evidence, things: Sequence[Thing]) -> list[Thing]:
    solids = {
        thing.number: solid for thing in things if (solid := evidence.objects[thing.number].solid) is not None
    }
    return [
        outer
        for outer in things
        if any(
            outer is not inner and contains(solids[outer.number], solids[inner.number], CONTAINED)
            for inner in things
        )
    ]
