"""Solids seen by a camera: corners, the projection clipped at the near plane, silhouettes, footprints.

Metres in the camera frame: +x right, +y down, +z forward. Image boxes are unit xyxy.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
import shapely
from vila2.plugin import Box, Box3D, Camera

#: Distance of the near plane along the viewing direction, in meters. Edges are cut at this plane. A corner
#: behind the camera would come out mirrored, and one beside the camera near infinity.
NEAR_PLANE = 0.2

_SIGNS = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))  # [8, 3]
_IMAGE = shapely.box(0, 0, 1, 1)
_EDGES = tuple(
    (a, b) for a, b in itertools.combinations(range(8), 2) if (_SIGNS[a] != _SIGNS[b]).sum() == 1
)  # 12 pairs of corners that differ in one axis


# A scene asks for the same solids over and over: each with every other.
_kept = lru_cache(maxsize=4096)


@_kept
def corners(solid: Box3D) -> np.ndarray:
    """The 8 corners, [8, 3] in meters; the local axes are X = length, Y = height, Z = width (Omni3D)."""
    width, height, length = solid.dimensions
    local = _SIGNS * np.array([length, height, width])
    points: np.ndarray = local @ np.array(solid.rotation).T + np.array(solid.centre)
    points.flags.writeable = False
    return points


@_kept
def extent(solid: Box3D) -> tuple[tuple[float, float], ...]:
    """The intervals of a solid in x, y and z, in meters."""
    points = corners(solid)
    return tuple(zip(points.min(axis=0).tolist(), points.max(axis=0).tolist(), strict=True))


def visible_points(solid: Box3D, near: float = NEAR_PLANE) -> np.ndarray:
    """The end points of the 12 edges after clipping at the near plane, [n, 3]; n may be 0."""
    points = corners(solid)
    kept = [points[points[:, 2] >= near]]
    for a, b in _EDGES:
        first, second = points[a], points[b]
        if (first[2] < near) != (second[2] < near):
            share = (near - first[2]) / (second[2] - first[2])
            kept.append((first + share * (second - first))[None])
    return np.concatenate(kept)


def project(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Points [n, 3] before the camera in unit image coordinates [n, 2], even outside of the image."""
    pixels = points @ np.array(camera.K).T
    unit: np.ndarray = pixels[:, :2] / pixels[:, 2:] / np.array([camera.width, camera.height])
    return unit


@_kept
def silhouette(solid: Box3D, camera: Camera) -> shapely.Geometry:
    """The outline of a solid's image in unit coordinates, not clipped to the image.

    The outline is empty for a solid behind the camera.
    """
    points = visible_points(solid)
    return (
        shapely.convex_hull(shapely.MultiPoint(project(points, camera))) if len(points) else shapely.Polygon()
    )


@_kept
def clipped_silhouette(solid: Box3D, camera: Camera) -> shapely.Geometry:
    """The part of :func:`silhouette` inside the image."""
    return shapely.intersection(silhouette(solid, camera), _IMAGE)


def projected_box(solid: Box3D, camera: Camera) -> Box | None:
    """The box around the part of a solid's silhouette inside the image; None where there is no such part.

    The silhouette is clipped before the box is taken, which keeps the box of a near solid tight.
    """
    seen = clipped_silhouette(solid, camera)
    if seen.area <= 0:
        return None
    left, top, right, bottom = map(float, seen.bounds)
    return left, top, right, bottom


def cut_off(solid: Box3D, camera: Camera) -> float:
    """Share of the silhouette's area that lies outside of the image, 0..1."""
    whole = silhouette(solid, camera).area
    return 1.0 - clipped_silhouette(solid, camera).area / whole if whole > 0 else 1.0


@_kept
def footprint(solid: Box3D) -> shapely.Geometry:
    """The solid from above: the hull of its corners in x and z, meters."""
    return shapely.convex_hull(shapely.MultiPoint(corners(solid)[:, [0, 2]]))


def contains(outer: Box3D, inner: Box3D, share: float) -> bool:
    """Whether at least ``share`` of the inner solid's footprint, and of its height, lies in the outer one."""
    around, within = extent(outer), extent(inner)
    shared = [min(a[1], b[1]) - max(a[0], b[0]) for a, b in zip(around, within, strict=True)]
    # The footprint may still be outside where the extents overlap, but not the other way round.
    if min(shared) <= 0 or shared[1] < share * (within[1][1] - within[1][0]):
        return False
    below = footprint(inner)
    whole, covered = float(below.area), float(shapely.intersection(footprint(outer), below).area)
    return whole > 0 and covered >= share * whole
