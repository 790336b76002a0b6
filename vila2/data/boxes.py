"""Boxes, points and polygons: plain tuples of numbers in unit coordinates of the original image."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: How far float arithmetic may push a coordinate out of the image.
ROUNDING = 1e-6

Box = tuple[float, float, float, float]
Point = tuple[float, float]
Polygon = tuple[Point, ...]
#: Fewest corners of a polygon.
FEWEST_CORNERS = 3


def area(box: Box) -> float:
    """Computes the share of the image that a box covers, 0..1."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def iou(a: Box, b: Box) -> float:
    """Computes the intersection over union of two boxes, 0..1; 0 where either is empty."""
    inter = area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    union = area(a) + area(b) - inter
    return inter / union if union > 0 else 0.0


def place_fault(place: Sequence[object], arity: int) -> str:
    """Says why a place cannot be drawn in an image; "" where it can.

    Args:
        place: numbers of a box (xmin, ymin, xmax, ymax) or of a point (x, y), in unit coordinates.
        arity: number of numbers that there must be: 4 for a box, 2 for a point.
    """
    called = "box" if arity == 4 else "point"
    if not isinstance(place, Sequence) or isinstance(place, str | bytes):
        return f"a {called} of {place!r} instead of {arity} numbers"
    values = [one for one in place if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(place) != arity or len(values) != arity:
        return f"a {called} of {list(place)} instead of {arity} numbers"
    if not all(math.isfinite(one) and -ROUNDING <= one <= 1 + ROUNDING for one in values):
        return f"{called} {tuple(place)} is not within the image"
    if arity == 4 and (values[0] > values[2] or values[1] > values[3]):
        return f"box {tuple(place)} has swapped corners"
    return ""


def polygon_fault(polygon: Sequence[Sequence[object]]) -> str:
    """Says why a polygon cannot be drawn in an image; "" where it can.

    Args:
        polygon: corners in order, each (x, y) in unit coordinates.
    """
    if not isinstance(polygon, Sequence) or isinstance(polygon, str | bytes):
        return f"a polygon of {polygon!r} instead of points"
    if len(polygon) < FEWEST_CORNERS:
        return f"a polygon of {len(polygon)} points instead of {FEWEST_CORNERS} or more"
    fault = next(filter(None, (place_fault(corner, 2) for corner in polygon)), "")
    return f"a polygon with {fault.removeprefix('a ')}" if fault else ""
