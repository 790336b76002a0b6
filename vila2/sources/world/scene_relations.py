"""Spatial relations between objects, each with a dead band in which it is neither true nor false.

All are from the camera's view. A predicate answers None where the margin is too small to ask about.
"""

from vila2.sources.world.scene import Scene, WorldObject

#: Left and right: gap of the box centres as a share of the image width.
LEFT_RIGHT_MARGIN = 0.08
#: Front and behind: gap of the depth intervals, in meters and as a share of the nearer depth.
DEPTH_GAP, DEPTH_SHARE = 0.10, 0.05
#: Closest and farthest: the runner-up's depth ratio and gap in meters.
EXTREME_RATIO, EXTREME_GAP = 1.15, 0.10


def centre_u(thing: WorldObject) -> float:
    """Horizontal centre of the object's box in unit image coordinates."""
    return (thing.box[0] + thing.box[2]) / 2


def left_right(one: WorldObject, other: WorldObject) -> str | None:
    """ "left" or "right" of ``one`` against ``other`` where image and space agree by a clear margin, else None."""
    gap = centre_u(one) - centre_u(other)
    if abs(gap) < LEFT_RIGHT_MARGIN or gap * (one.centre[0] - other.centre[0]) <= 0:
        return None
    return "left" if gap < 0 else "right"


def front_behind(one: WorldObject, other: WorldObject) -> str | None:
    """ "front" or "behind" of ``one`` against ``other`` where their depth intervals are apart, else None."""
    near, far = (one, other) if one.depth < other.depth else (other, one)
    gap = (far.depth - far.dimensions[2] / 2) - (near.depth + near.dimensions[2] / 2)
    if gap < max(DEPTH_GAP, DEPTH_SHARE * near.depth):
        return None
    return "front" if near is one else "behind"


def closest(scene: Scene) -> WorldObject | None:
    """The object nearest to the camera where the runner-up is clearly farther, else None."""
    first, second = sorted(scene.objects, key=lambda one: one.depth)[:2]
    return first if _clear(first.depth, second.depth) else None


def farthest(scene: Scene) -> WorldObject | None:
    """The object farthest from the camera where the runner-up is clearly nearer, else None."""
    second, first = sorted(scene.objects, key=lambda one: one.depth)[-2:]
    return first if _clear(second.depth, first.depth) else None


def _clear(near: float, far: float) -> bool:
    return far >= EXTREME_RATIO * near and far - near >= EXTREME_GAP


def side(thing: WorldObject) -> str | None:
    """ "left", "middle" or "right" third of the image, None near a border between them."""
    u = centre_u(thing)
    if u < 0.32:
        return "left"
    if u > 0.68:
        return "right"
    return "middle" if 0.42 < u < 0.58 else None


def ground_zone(thing: WorldObject) -> str | None:
    """ "foreground" or "background" by depth, None between."""
    if thing.depth < 3.3:
        return "foreground"
    return "background" if thing.depth > 4.6 else None


def is_unique(scene: Scene, thing: WorldObject) -> bool:
    """Whether colour and shape together name exactly this object."""
    return sum(one.name == thing.name for one in scene.objects) == 1
