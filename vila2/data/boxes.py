"""Boxes: plain tuples (x0, y0, x1, y1) in unit coordinates of the original image."""

from __future__ import annotations

Box = tuple[float, float, float, float]
Point = tuple[float, float]


def area(box: Box) -> float:
    """Computes the share of the image that a box covers, 0..1."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def iou(a: Box, b: Box) -> float:
    """Computes the intersection over union of two boxes, 0..1; 0 where either is empty."""
    inter = area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    union = area(a) + area(b) - inter
    return inter / union if union > 0 else 0.0
