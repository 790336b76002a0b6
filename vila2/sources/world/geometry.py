"""Projects the world's solids, and intersects camera rays with them.

The camera frame is in meters: +x right, +y down, +z forward. The camera looks along +z with a shifted
    principal
point (a shift lens), so the ground is the plane ``y = CAMERA_HEIGHT`` and depth is z.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Vector = tuple[float, float, float]
ArrayVector = tuple[Array, Array, Array]
Scalars = tuple[np.float32, np.float32, np.float32]

SIZE = 96
FOCAL = 92.0
CENTER_U = 48.0
CENTER_V = 16.0
CAMERA_HEIGHT = 2.05

INTRINSICS: tuple[Vector, Vector, Vector] = ((FOCAL, 0.0, CENTER_U), (0.0, FOCAL, CENTER_V), (0.0, 0.0, 1.0))


class Solid(Protocol):
    """The shape and pose of an object; units as in :class:`~vila2.sources.world.scene.WorldObject`."""

    @property
    def shape(self) -> str: ...

    @property
    def centre(self) -> Vector: ...

    @property
    def dimensions(self) -> Vector: ...

    @property
    def yaw(self) -> float: ...


def project(points: Array) -> Array:
    """Projects camera-frame points [N, 3] with z > 0 to pixel coordinates [N, 2]."""
    return np.stack(
        [points[:, 0] / points[:, 2] * FOCAL + CENTER_U, points[:, 1] / points[:, 2] * FOCAL + CENTER_V],
        axis=1,
    )


_ANGLES = np.linspace(0, 2 * np.pi, 32, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_SQUARE = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]], dtype=float)
_CROSS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], dtype=float)


def _outline(solid: Solid) -> Array:
    """Returns points [N, 3] in the object's own axes that span the silhouette (except a ball's)."""
    width, height, length = (d / 2 for d in solid.dimensions)

    def ring(flat: Array, y: float) -> Array:
        return np.column_stack([flat[:, 0] * width, np.full(len(flat), y), flat[:, 1] * length])

    match solid.shape:
        case "cube":
            return np.concatenate([ring(_SQUARE, -height), ring(_SQUARE, height)])
        case "cylinder":
            return np.concatenate([ring(_CIRCLE, -height), ring(_CIRCLE, height)])
        case "cone":
            return np.concatenate([[[0.0, -height, 0.0]], ring(_CIRCLE, height)])
        case "diamond":
            return np.concatenate([[[0.0, -height, 0.0], [0.0, height, 0.0]], ring(_CROSS, 0.0)])
    raise ValueError(f"unknown shape {solid.shape!r}")


def silhouette_box(solid: Solid) -> tuple[float, float, float, float]:
    """Returns the tight box (x0, y0, x1, y1) around the projected silhouette, in pixels, not clipped."""
    x, y, z = solid.centre
    if solid.shape == "ball":
        radius = solid.dimensions[0] / 2
        spans = []
        for across, offset in ((x, CENTER_U), (y, CENTER_V)):
            middle, half = np.arctan2(across, z), np.arcsin(radius / np.hypot(across, z))
            spans.append((FOCAL * np.tan(middle - half) + offset, FOCAL * np.tan(middle + half) + offset))
        return float(spans[0][0]), float(spans[1][0]), float(spans[0][1]), float(spans[1][1])
    local = _outline(solid)
    cos, sin = np.cos(solid.yaw), np.sin(solid.yaw)
    turned = np.column_stack(
        [local[:, 0] * cos + local[:, 2] * sin, local[:, 1], local[:, 2] * cos - local[:, 0] * sin]
    )
    pixels = project(turned + np.array(solid.centre))
    (x0, y0), (x1, y1) = pixels.min(axis=0), pixels.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


_CUBE_NORMALS = np.array(
    [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=np.float32
)
_DIAMOND_SIGNS = np.array([[a, b, c] for a in (1, -1) for b in (1, -1) for c in (1, -1)], dtype=np.float32)


def cast(solid: Solid, u: Array, v: Array) -> tuple[Array, Array]:
    """Intersects the rays through a grid of pixels with a solid.

    Args:
        solid: object to intersect.
        u: pixel columns [W] of the grid.
        v: pixel rows [H] of the grid.

    Returns:
        Depth [H, W] in meters, infinite where the ray misses, and unit surface normals [3, H, W].
    """
    cos, sin = np.float32(np.cos(solid.yaw)), np.float32(np.sin(solid.yaw))
    dx = ((u - CENTER_U) / FOCAL).astype(np.float32)[None, :]
    dy = np.broadcast_to(((v - CENTER_V) / FOCAL).astype(np.float32)[:, None], (len(v), len(u)))
    # Into the object's own axes: rays start at -centre there.
    rays = (np.broadcast_to(dx * cos - sin, dy.shape), dy, np.broadcast_to(dx * sin + cos, dy.shape))
    x, y, z = (np.float32(value) for value in solid.centre)
    start = (-(x * cos - z * sin), -y, -(x * sin + z * cos))
    if solid.shape in ("cube", "diamond"):
        depth, normal = _cast_planes(solid, rays, start)
    else:
        depth, normal = _cast_quadric(solid, rays, start)
    nx, ny, nz = normal
    return depth, np.stack([nx * cos + nz * sin, ny, nz * cos - nx * sin])


def _cast_planes(solid: Solid, rays: ArrayVector, start: Scalars) -> tuple[Array, ArrayVector]:
    half = np.array(solid.dimensions, dtype=np.float32) / 2
    normals: Array
    offsets: Array
    if solid.shape == "cube":
        normals, offsets = _CUBE_NORMALS, (np.abs(_CUBE_NORMALS) * half).sum(axis=1)
    else:
        normals, offsets = _DIAMOND_SIGNS / half, np.ones(8, dtype=np.float32)
    enter: Array = np.full(rays[1].shape, -np.inf, dtype=np.float32)
    leave: Array = np.full(rays[1].shape, np.inf, dtype=np.float32)
    face = np.zeros(rays[1].shape, dtype=np.int8)
    for index, (normal, offset) in enumerate(zip(normals, offsets, strict=True)):
        slope = normal[0] * rays[0] + normal[1] * rays[1] + normal[2] * rays[2]
        room = offset - (normal[0] * start[0] + normal[1] * start[1] + normal[2] * start[2])
        slope = np.where(np.abs(slope) < 1e-7, np.float32(1e-7), slope)
        at = room / slope
        entering = (slope < 0) & (at > enter)
        face[entering] = index
        enter = np.where(entering, at, enter)
        leave = np.where(slope > 0, np.minimum(leave, at), leave)
    depth = np.where((enter < leave) & (enter > 0), enter, np.float32(np.inf))
    unit = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    return depth, (unit[face, 0], unit[face, 1], unit[face, 2])


def _cast_quadric(solid: Solid, rays: ArrayVector, start: Scalars) -> tuple[Array, ArrayVector]:
    radius, half = np.float32(solid.dimensions[0] / 2), np.float32(solid.dimensions[1] / 2)
    dx, dy, dz = rays
    ox, oy, oz = start
    # x^2 + z^2 + k y'^2 = c: ball k=1, cylinder k=0, cone k=-(r/h)^2 with y' measured from the apex.
    match solid.shape:
        case "ball":
            k, apex, constant = np.float32(1), np.float32(0), radius**2
        case "cylinder":
            k, apex, constant = np.float32(0), np.float32(0), radius**2
        case _:
            k, apex, constant = -((radius / (2 * half)) ** 2), -half, np.float32(0)
    oy_apex = oy - apex
    a = dx * dx + dz * dz + k * dy * dy
    b = ox * dx + oz * dz + k * oy_apex * dy
    c = ox * ox + oz * oz + k * oy_apex * oy_apex - constant
    inside = b * b - a * c
    depth: Array = np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, np.float32(np.inf))
    with np.errstate(invalid="ignore"):
        py = oy + depth * dy
        if solid.shape != "ball":
            depth = np.where((py >= -half) & (py <= half) & (depth > 0), depth, np.float32(np.inf))
        px, pz = ox + depth * dx, oz + depth * dz
        ny = k * (py - apex)
        scale = 1 / np.sqrt(np.maximum(px * px + pz * pz + ny * ny, 1e-12))
        normal: ArrayVector = (px * scale, ny * scale, pz * scale)
    if solid.shape == "cylinder":
        # The camera is above the lid, so it can see only the upper cap.
        lid = (-half - oy) / dy
        on_lid = ((ox + lid * dx) ** 2 + (oz + lid * dz) ** 2 <= radius**2) & (lid > 0) & (lid < depth)
        depth = np.where(on_lid, lid, depth)
        normal = (
            np.where(on_lid, np.float32(0), normal[0]),
            np.where(on_lid, np.float32(-1), normal[1]),
            np.where(on_lid, np.float32(0), normal[2]),
        )
    return depth, normal
