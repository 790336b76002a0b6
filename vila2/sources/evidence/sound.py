"""Checks that evidence can be true: boxes lie in the image, rotations rotate, and names are not blank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vila2.data.evidence import Box3D, Camera, Evidence, Vector

_ROUNDING = 1e-6
_FARTHEST = 1e6  # meters, or pixels of a focal length
_ROTATION = 0.1  # how far a matrix may be from a rotation, since datasets round


def unsound(evidence: Evidence) -> str:
    """Says what is wrong with evidence; "" for nothing.

    Boxes and outlines lie within 0 to 1, boxes with the smaller corner first; a rotation is orthonormal.
    """
    return next(_faults(evidence), "")


def _faults(evidence: Evidence) -> Iterator[str]:
    for number, thing in enumerate(evidence.objects):
        where = f"objects.{number}"
        if not thing.called.strip() or not thing.label.strip():
            yield f"{where}: a blank label or name"
        if thing.box is not None and not (_within(thing.box) and _has_area(thing.box)):
            yield f"{where}.box: {list(thing.box)} is not (xmin, ymin, xmax, ymax) within 0 to 1"
        if thing.solid is not None and (what := _solid(thing.solid)):
            yield f"{where}.solid: {what}"
    for number, text in enumerate(evidence.texts):
        values = [value for point in text.outline for value in point]
        if not _within(values):
            yield f"texts.{number}.outline: {values} are not within 0 to 1"
    if evidence.camera is not None and (what := _camera(evidence.camera)):
        yield f"camera: {what}"


def _within(values: Sequence[float]) -> bool:
    return all(-_ROUNDING <= value <= 1 + _ROUNDING for value in values)


def _has_area(box: Sequence[float]) -> bool:
    return box[0] < box[2] and box[1] < box[3]


def _solid(solid: Box3D) -> str:
    if max(map(abs, (*solid.centre, *solid.dimensions))) > _FARTHEST:
        return f"centre {solid.centre} or dimensions {solid.dimensions} of over {_FARTHEST:g} meters"
    return "" if is_rotation(solid.rotation) else f"rotation {solid.rotation} is not a rotation"


def is_rotation(matrix: Sequence[Sequence[float]]) -> bool:
    """Tells whether a 3 x 3 matrix is a rotation, up to rounding."""
    rows = [tuple(row) for row in matrix]
    products = [[sum(a * b for a, b in zip(one, two, strict=True)) for two in rows] for one in rows]
    orthonormal = all(
        abs(products[i][j] - (1 if i == j else 0)) <= _ROTATION for i in range(3) for j in range(3)
    )
    (a, b, c), (d, e, f), (g, h, i) = rows
    return orthonormal and a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g) > 0


def _camera(camera: Camera) -> str:
    rows: Sequence[Vector] = camera.K
    sound = min(rows[0][0], rows[1][1]) > 0 and max(abs(value) for row in rows for value in row) <= _FARTHEST
    return "" if sound else f"K {camera.K} is not the matrix of a camera"
