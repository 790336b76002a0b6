"""Reads Omni3D's 3D boxes: meters in the camera frame (+x right, +y down, +z forward), 2D boxes in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vila2.data.evidence import Box3D, Camera, Evidence, SceneObject, Vector
from vila2.data.rejects import Reject
from vila2.data.sample import Sample
from vila2.data.shortening import shown
from vila2.sources.evidence.annotated_images import Picture, Size, is_number, numbers, within_a_pixel
from vila2.sources.evidence.sound import is_rotation

#: Fields of 2D boxes, the most reliable first; Omni3D writes -1 for unknown.
_BOXES = ("bbox2D_tight", "bbox2D_gt", "bbox2D_trunc", "bbox2D_proj", "bbox")
#: Fields that count the laser points and the pixels of the segmentation on a thing.
_POINTS = ("lidar_pts", "segmentation_pts")
#: Largest error of a box's depth in meters (Omni3D's own limit).
_DEPTH_ERROR = 0.5
_FARTHEST = 1e6  # meters


def has_solids(objects: Sequence[Any]) -> bool:
    """Tells whether a list of objects has this form."""
    return any(isinstance(thing, Mapping) and "center_cam" in thing for thing in objects)


def things_of(row: Mapping[str, Any], *, where: str) -> list[tuple[str, Any]]:
    """Lists the things of a row's ``boxes``, each with its place."""
    return [(f"{where}.boxes[{number}]", thing) for number, thing in enumerate(row["boxes"])]


def reach_of(things: Sequence[Any]) -> Size:
    """Returns the largest x and y of the 2D boxes in pixels; 0 for a camera alone, which refers to pixels."""
    found = [box for thing in things if isinstance(thing, Mapping) and (box := _pixels(thing))]
    return max((box[2] for box in found), default=0.0), max((box[3] for box in found), default=0.0)


def read_solids(
    row: Mapping[str, Any], things: Sequence[tuple[str, Any]], picture: Picture, *, where: str
) -> Iterator[Sample | Reject]:
    """Yields the sample of a row; an object behind the camera, without size or not valid in 3D gets no solid.

    Such images are not annotated completely, so absence cannot be told from the evidence.

    Args:
        row: fields of the row, with the camera's ``K``.
        things: things of the row, each with its place.
        picture: image of the row.
        where: place of the row.
    """
    if picture.frame.orientation != 1:
        detail = f"K is for {picture.name} before its EXIF orientation {picture.frame.orientation}: turn both"
        yield Reject(where, picture.key, "rotated-image", detail)
        return
    camera = _camera(row.get("K"), picture)
    objects = []
    for place, thing in things:
        made = _object(thing, picture) if isinstance(thing, Mapping) else f"{shown(thing)} is not an object"
        if isinstance(made, str):
            yield Reject(place, picture.key, "bad-box", made)
        else:
            objects.append(made)
    if camera is None and any(thing.solid for thing in objects):
        detail = f"K = {shown(row.get('K'))} is not the 3 x 3 matrix of a camera"
        yield Reject(where, picture.key, "bad-camera", detail)
        return
    about = {key: row[key] for key in ("dataset",) if key in row}
    yield picture.sample(Evidence(objects=tuple(objects), camera=camera), about)


def _object(thing: Mapping[str, Any], picture: Picture) -> SceneObject | str:
    """Reads an object; or a text that says what is wrong with it."""
    given = thing.get("category") or thing.get("category_name") or ""
    label = given.strip().lower() if isinstance(given, str) else ""
    if not label:
        return f"category is {shown(given)}" if given else "no category"
    pixels = _pixels(thing)
    if pixels and within_a_pixel(pixels):
        return f"{label}: {list(pixels)} are shares of the image; 2D boxes are in pixels"
    box = picture.frame.box(*pixels) if pixels else None
    solid = _solid(thing)
    if box is None and solid is None:
        return f"{label}: neither a 2D box in the image nor a 3D box that can be used"
    unseen = any(is_number(thing.get(name)) and thing[name] == 0 for name in _POINTS)
    return SceneObject(
        label=label,
        box=box,
        solid=solid,
        truncation=_share(thing.get("truncation")),
        # A thing without any laser point or pixel of the segmentation is hidden, whatever the row says.
        visibility=0.0 if unseen else _share(thing.get("visibility")),
    )


def _pixels(thing: Mapping[str, Any]) -> tuple[float, ...] | None:
    """Returns the most reliable 2D box, in pixels."""
    boxes = (numbers(thing.get(name), 4) for name in _BOXES)
    return next((box for box in boxes if box is not None and (box[0], box[2]) != (-1, -1)), None)


def _solid(thing: Mapping[str, Any]) -> Box3D | None:
    center, dimensions = _vector(thing.get("center_cam")), _vector(thing.get("dimensions"))
    rotation = _matrix(thing.get("R_cam"))
    if center is None or dimensions is None or rotation is None:
        return None
    if (
        thing.get("valid3D") in (False, 0)
        or center[2] <= 0
        or min(dimensions) <= 0
        or max(map(abs, center)) > _FARTHEST
        or not is_rotation(rotation)
    ):
        return None
    error = thing.get("depth_error")
    if error is not None and is_number(error) and error > _DEPTH_ERROR:
        return None
    return Box3D(centre=center, dimensions=dimensions, rotation=rotation)


def _camera(value: Any, picture: Picture) -> Camera | None:
    matrix = _matrix(value)
    if matrix is None or min(matrix[0][0], matrix[1][1]) <= 0:
        return None
    return Camera(K=matrix, width=picture.frame.width, height=picture.frame.height)


def _vector(value: Any) -> Vector | None:
    found = numbers(value, 3)
    return (found[0], found[1], found[2]) if found else None


def _matrix(value: Any) -> tuple[Vector, Vector, Vector] | None:
    if not isinstance(value, list | tuple) or len(value) != 3:
        return None
    one, two, three = map(_vector, value)
    return None if one is None or two is None or three is None else (one, two, three)


def _share(value: Any) -> float | None:
    """Reads a share, 0 to 1; None if it is unknown, which Omni3D writes as -1."""
    return float(value) if is_number(value) and 0 <= value <= 1 else None
