"""Compares places of things: boxes with boxes by their overlap, points with boxes by where they lie."""

from __future__ import annotations

from collections.abc import Iterable
from math import dist
from typing import Literal

from vila2.data.boxes import ROUNDING, Box, Point, iou

Place = Box | Point
#: Whether a place is the thing's own, certainly another's, or neither.
Match = Literal["same", "elsewhere", "open"]

#: Overlap from which a box is the thing's own, and below which nothing of the kind is there.
_SAME, _ELSEWHERE = 0.5, 0.1
#: Share of the image by which a point may miss its thing's box before it is another's, since models point
#: at edges, and the distance of two points that are surely on one thing.
TOLERANCE = 0.05


def match(one: Place, other: Place) -> Match:
    """Whether two places are of one thing, if both carry its name.

    A point inside a box is on the box's thing; a point outside by more than :data:`TOLERANCE` is not. Two
    points far from each other may still be on one large thing.
    """
    if len(one) == 4 and len(other) == 4:
        overlap = iou(one, other)
        return "same" if overlap >= _SAME else "elsewhere" if overlap < _ELSEWHERE else "open"
    if len(one) == 4:
        one, other = other, one
    if len(other) == 4:
        off = max(other[0] - one[0], one[0] - other[2], other[1] - one[1], one[1] - other[3])
        return "same" if off <= ROUNDING else "elsewhere" if off > TOLERANCE else "open"
    return "same" if dist(one, other) <= TOLERANCE else "open"


def best_match(places: Iterable[Place], others: Iterable[Place]) -> Match:
    """The best match of any of the places with any of the others; "elsewhere" where there are no others."""
    others = list(others)
    found = {match(one, other) for one in places for other in others}
    return "same" if "same" in found else "open" if "open" in found else "elsewhere"
