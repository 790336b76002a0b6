"""The spatial relation of two objects: left or right, in front or behind, above or below."""

from __future__ import annotations

from typing import Literal

from vila2.data.boxes import Box
from vila2.data.evidence import Box3D, SceneObject

Axis = Literal["left/right", "front/behind", "above/below"]
AXES: tuple[Axis, ...] = ("left/right", "front/behind", "above/below")

#: Smallest gap between the centers of two boxes left and right of each other, as a share of the image's
#: width.
SIDE_MARGIN = 0.08

#: Smallest gap in depth between two objects, in meters and as a share of the depth of the nearer one.
DEPTH_GAP, DEPTH_SHARE = 0.10, 0.05


def relation(one: SceneObject, other: SceneObject, axis: Axis) -> int | None:
    """Tells on which side of ``other`` the object ``one`` is.

    Left and right are those of the image; where both solids are known, their places in space must agree.
    Front and behind compare depths and need solids. Above and below compare boxes of which one is over the
    other, and only where no solids are known: in an image of a ground, what is farther away appears higher.

    Returns:
        -1 for the first side of the axis (left, in front, above), 1 for the second; None where it is not
        clear.
    """
    solids = (one.solid, other.solid) if one.solid and other.solid else None
    if axis == "front/behind":
        return _by_depth(*solids) if solids else None
    if one.box is None or other.box is None:
        return None
    if axis == "above/below":
        return None if solids else _over(one.box, other.box)
    side = _beside(one.box, other.box)
    if side and solids and side * (solids[0].centre[0] - solids[1].centre[0]) <= 0:
        return None
    return side


def _beside(one: Box, other: Box) -> int | None:
    """Needs centers apart, and neither within the other's width: a rider is not to the left of the horse."""
    a, b = (one[0] + one[2]) / 2, (other[0] + other[2]) / 2
    inside = one[0] < b < one[2] or other[0] < a < other[2]
    return None if inside or abs(a - b) < SIDE_MARGIN else (1 if a > b else -1)


def _over(one: Box, other: Box) -> int | None:
    """Needs heights apart, and widths that overlap by half of the narrower: higher beside is not above."""
    shared = min(one[2], other[2]) - max(one[0], other[0])
    if shared < 0.5 * min(one[2] - one[0], other[2] - other[0]):
        return None
    return -1 if one[3] <= other[1] else 1 if other[3] <= one[1] else None


def _by_depth(one: Box3D, other: Box3D) -> int | None:
    near, far = sorted((one, other), key=lambda solid: solid.centre[2])
    gap = _depths(far)[0] - _depths(near)[1]
    if gap < max(DEPTH_GAP, DEPTH_SHARE * near.centre[2]):
        return None
    return -1 if near is one else 1


def _depths(solid: Box3D) -> tuple[float, float]:
    """The nearest and the farthest depth of a solid, in meters."""
    width, height, length = solid.dimensions
    half = sum(abs(r) * size for r, size in zip(solid.rotation[2], (length, height, width), strict=True)) / 2
    return solid.centre[2] - half, solid.centre[2] + half
