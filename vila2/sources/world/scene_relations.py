"""Spatial relations between objects from the camera's view.

Each relation is neither true nor false within a margin: its function then returns None.
"""

from vila2.sources.world.scene import Scene, WorldObject

#: Margin of left and right: gap of the box centers as a share of the image width.
LEFT_RIGHT_MARGIN = 0.08
#: Margin of front and behind: gap of the depth intervals, in meters and as a share of the nearer depth.
DEPTH_GAP, DEPTH_SHARE = 0.10, 0.05
#: Margin of closest and farthest: ratio and gap, in meters, to the depth of the runner-up.
EXTREME_RATIO, EXTREME_GAP = 1.15, 0.10


def centre_u(thing: WorldObject) -> float:
    """Returns the horizontal center of an object's box in unit coordinates of the image."""
    return (thing.box[0] + thing.box[2]) / 2


def left_right(one: WorldObject, other: WorldObject) -> str | None:
    """Tells whether ``one`` is "left" or "right" of ``other``; None unless image and space agree clearly."""
    gap = centre_u(one) - centre_u(other)
    if abs(gap) < LEFT_RIGHT_MARGIN or gap * (one.centre[0] - other.centre[0]) <= 0:
        return None
    return "left" if gap < 0 else "right"


def front_behind(one: WorldObject, other: WorldObject) -> str | None:
    """Tells whether ``one`` is in "front" of or "behind" ``other``; None unless their depths are apart."""
    near, far = (one, other) if one.depth < other.depth else (other, one)
    gap = (far.depth - far.dimensions[2] / 2) - (near.depth + near.dimensions[2] / 2)
    if gap < max(DEPTH_GAP, DEPTH_SHARE * near.depth):
        return None
    return "front" if near is one else "behind"


def closest(scene: Scene) -> WorldObject | None:
    """Finds the object closest to the camera; None unless the runner-up is clearly farther."""
    first, second = sorted(scene.objects, key=lambda one: one.depth)[:2]
    return first if _clear(first.depth, second.depth) else None


def farthest(scene: Scene) -> WorldObject | None:
    """Finds the object farthest from the camera; None unless the runner-up is clearly closer."""
    second, first = sorted(scene.objects, key=lambda one: one.depth)[-2:]
    return first if _clear(second.depth, first.depth) else None


def _clear(near: float, far: float) -> bool:
    return far >= EXTREME_RATIO * near and far - near >= EXTREME_GAP


def side(thing: WorldObject) -> str | None:
    """Tells whether an object is in the "left", "middle" or "right" of the image; None near a border."""
    u = centre_u(thing)
    if u < 0.32:
        return "left"
    if u > 0.68:
        return "right"
    return "middle" if 0.42 < u < 0.58 else None


def ground_zone(thing: WorldObject) -> str | None:
    """Tells by depth whether an object is in the "foreground" or "background"; None between them."""
    if thing.depth < 3.3:
        return "foreground"
    return "background" if thing.depth > 4.6 else None


def is_unique(scene: Scene, thing: WorldObject) -> bool:
    """Tells whether color and shape together name exactly this object."""
    return sum(one.name == thing.name for one in scene.objects) == 1
