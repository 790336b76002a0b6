"""Omni3D's 3D boxes: metres in the camera frame (+x right, +y down, +z forward), with 2D boxes in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vila2.data.evidence import Box3D, Camera, Evidence, SceneObject
from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.sources.evidence.images import Picture, is_number, numbers, unit_box

#: From the surest to the least sure; Omni3D writes -1s where a box is not known.
_BOXES = ("bbox2D_tight", "bbox2D_gt", "bbox2D_trunc", "bbox2D_proj", "bbox")
_MISSING = (-1.0, -1.0, -1.0, -1.0)


def has_solids(objects: Sequence[Any]) -> bool:
    """Whether a list of objects is of this form."""
    return any(isinstance(thing, Mapping) and "center_cam" in thing for thing in objects)


def read_solids(row: Mapping[str, Any], picture: Picture, *, where: str) -> Iterator[Sample | Reject]:
    """One sample; an object behind the camera, without size or not valid in 3D keeps no solid.

    Not everything in such images is annotated, so the evidence does not say that it is.
    """
    camera = _camera(row.get("K"), picture)
    objects = []
    for number, thing in enumerate(row["boxes"]):
        place = f"{where}.boxes[{number}]"
        made = _object(thing, picture) if isinstance(thing, Mapping) else "no object"
        if isinstance(made, str):
            yield Reject(place, picture.key, "bad-box", made)
        else:
            objects.append(made)
    if camera is None and any(thing.solid for thing in objects):
        yield Reject(where, picture.key, "bad-camera", f"K = {row.get('K')!r:.80} is no 3 x 3 matrix")
        return
    about = {key: row[key] for key in ("dataset",) if key in row}
    yield picture.sample(Evidence(objects=tuple(objects), camera=camera), about)


def _object(thing: Mapping[str, Any], picture: Picture) -> SceneObject | str:
    """The object, or what is wrong with it."""
    label = str(thing.get("category") or thing.get("category_name") or "").strip().lower()
    if not label:
        return "no category"
    boxes = (numbers(thing.get(name), 4) for name in _BOXES)
    pixels = next((box for box in boxes if box is not None and box != _MISSING), None)
    box = unit_box(*pixels, picture) if pixels else None
    solid = _solid(thing)
    if box is None and solid is None:
        return f"{label}: neither a 2D box in the image nor a 3D box"
    return SceneObject(
        label=label,
        box=box,
        solid=solid,
        truncation=_share(thing.get("truncation")),
        visibility=_share(thing.get("visibility")),
    )


def _solid(thing: Mapping[str, Any]) -> Box3D | None:
    centre, dimensions = numbers(thing.get("center_cam"), 3), numbers(thing.get("dimensions"), 3)
    rotation = _matrix(thing.get("R_cam"))
    if centre is None or dimensions is None or rotation is None:
        return None
    if thing.get("valid3D") is False or centre[2] <= 0 or min(dimensions) <= 0:
        return None
    return Box3D(centre=centre, dimensions=dimensions, rotation=rotation)


def _camera(value: Any, picture: Picture) -> Camera | None:
    matrix = _matrix(value)
    return Camera(K=matrix, width=picture.width, height=picture.height) if matrix else None


def _matrix(value: Any) -> tuple[tuple[float, ...], ...] | None:
    if not isinstance(value, Sequence) or len(value) != 3:
        return None
    rows = tuple(numbers(row, 3) for row in value)
    return None if None in rows else rows


def _share(value: Any) -> float | None:
    """A share in 0..1; None where it is not known, which Omni3D writes as -1."""
    return float(value) if is_number(value) and 0 <= value <= 1 else None
