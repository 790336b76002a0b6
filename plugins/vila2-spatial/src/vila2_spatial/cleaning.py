"""The cleaning of a scene.

It separates things to ask about from things that only compete for an answer. Every refusal has its reason.

Omni3D's own rule of what to ignore (truncation of .99, visibility of .01) is made for detectors. A question
needs a thing that a person finds at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from vila2.plugin import Box, Evidence, SceneObject, iou

from vila2_spatial.geometry import clipped_silhouette, contains, cut_off, extent, projected_box

#: A thing with more than this share outside of the image is not asked about.
MOST_TRUNCATED = 0.5
#: A thing with less than this share visible is not asked about.
LEAST_VISIBLE = 0.3
#: A thing lower than this, in pixels, is not asked about. In images of less than 240 lines the limit shrinks
#: with the image.
LEAST_HEIGHT, FULL_LINES = 25.0, 240.0
#: Two boxes with a greater overlap are one thing labeled twice, or their boxes cannot tell them apart.
DUPLICATE_IOU = 0.9
#: A solid that holds this share of another one is a container (a room, a shelf). "Left of it" means nothing.
CONTAINED = 0.9
#: A labeled and a projected box with less overlap than this show that one of the labels is wrong.
LEAST_AGREEMENT = 0.3
#: Overlap of silhouettes in depth, in meters, below which neither solid hides the other.
_SAME_DEPTH = 0.05

#: Surroundings of a scene rather than things in it.
BACKGROUND = frozenset({"wall", "floor", "ceiling", "room", "floor mat", "carpet", "rug", "stairs",
                        "building", "road", "sidewalk", "ground", "grass", "terrain", "sky", "parking lot",
                        "other structure", "otherstructure"})  # fmt: skip
#: Labels that name nothing a person would say.
VAGUE = frozenset({"misc", "void", "other", "other furniture", "other prop", "otherfurniture", "otherprop",
                   "unknown", "object", "debris", "animal or other"})  # fmt: skip
#: A region where unlabeled things may stand.
UNLABELLED = frozenset({"unlabelled", "dontcare", "dont care", "ignore"})


@dataclass(frozen=True, slots=True)
class Thing:
    """An object as relations see it.

    Attributes:
        number: place in ``Evidence.objects``.
        label, called: category, and name in a sentence.
        box: projection of its solid, clipped, unit xyxy.
        centre: center of its solid in meters, camera frame.
        near, far: ends of the depth interval of its solid, in meters.
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
        """Horizontal center of the box, in unit image coordinates."""
        return (self.box[0] + self.box[2]) / 2

    @property
    def distance(self) -> float:
        """Distance from the camera to the center, in meters."""
        return float(np.linalg.norm(self.centre))

    def distance_to(self, other: Thing) -> float:
        """Distance between the centers, in meters."""
        return float(np.linalg.norm(np.subtract(self.centre, other.centre)))


@dataclass(frozen=True, slots=True)
class Refusal:
    """An object that is not asked about, and the reason."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class CleanScene:
    """A scene to ask about.

    Attributes:
        things: things to ask about.
        others: things not to ask about that a viewer may still count as an answer.
        unlabelled: boxes of regions in which anything may stand.
        refusals: every object that is not in ``things``.
        complete: whether everything in the image is labeled, so that "which object" can be asked.
        domain: domain of the scene, which decides what is close and far, and the words.
    """

    things: tuple[Thing, ...]
    others: tuple[Thing, ...]
    unlabelled: tuple[Box, ...]
    refusals: tuple[Refusal, ...]
    complete: bool
    domain: str

    @property
    def present(self) -> tuple[Thing, ...]:
        """Things and others together."""
        return self.things + self.others

    def named_alone(self, thing: Thing) -> bool:
        """Whether the name of a thing alone tells which thing is meant."""
        return not self.unlabelled and sum(one.called == thing.called for one in self.present) == 1


@dataclass(frozen=True, slots=True)
class CleaningLimits:
    """Limits that a user may set; the constants of this module explain them."""

    truncation: float = MOST_TRUNCATED
    visibility: float = LEAST_VISIBLE
    height: float = LEAST_HEIGHT


def thing_of(evidence: Evidence, number: int) -> Thing | None:
    """An object with its projection; None where it has no solid or lies wholly outside of the image."""
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
        evidence: evidence with solids and a camera.
        domain: domain of the result.
        limits: limits of what to ask about; by default those of this module.
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
        assert reason is not None  # an object without a thing is unusable
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
    """The reason why nothing is known of an object; None where there is no such reason."""
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
    """The reason why a person would not find an object at once where its solid is; None if there is none."""
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

    Silhouettes are those of the boxes, so this is a lower bound. It serves data sets that give no visibility.
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
