"""Mirror augmentation: image, boxes, solids, words and facts change sides together."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import ImageOps
from vila2.plugin import (
    Box,
    Box3D,
    BoxPart,
    Camera,
    Evidence,
    Part,
    PointPart,
    Sample,
    SceneObject,
    TextPart,
    decode_image,
)

from vila2_spatial.readers.frames import box3d, camera, encoded
from vila2_spatial.relations import OPPOSITE

_SIDES = ("left", "right")
_SWAPPED = {"left": "right", "right": "left"}
_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
_ACROSS = np.diag([-1.0, 1.0, 1.0])


def mirrored(sample: Sample) -> Sample:
    """The sample as a mirror shows it, under the key with "-mirror".

    What is written in the image can no longer be read, so texts leave the evidence. The facts of
    ``meta["facts"]`` change their words with the turns.

    Raises:
        DataError: the image cannot be decoded.
    """
    picture = ImageOps.mirror(decode_image(sample.images[0], where=sample.key))
    image = encoded(picture, like=sample.images[0])
    turns = tuple(replace(turn, parts=tuple(map(_part, turn.parts))) for turn in sample.turns)
    meta: dict[str, Any] = {**sample.meta, "mirrored": True}
    evidence = Evidence.of(sample)
    if evidence is not None:
        meta |= mirrored_evidence(evidence).to_meta()
    meta["facts"] = [_fact(fact) for fact in sample.meta.get("facts", ())]
    meta["kinds"] = [fact["predicate"] for fact in meta["facts"]]
    return Sample(f"{sample.key}-mirror", (image,), turns, meta)


def mirrored_evidence(evidence: Evidence) -> Evidence:
    """Objects and camera on the other side, without the texts."""
    return Evidence(
        objects=tuple(map(_object, evidence.objects)),
        all_objects=evidence.all_objects,
        labels=evidence.labels,
        camera=None if evidence.camera is None else mirrored_camera(evidence.camera),
    )


def mirrored_camera(seen_by: Camera) -> Camera:
    """The camera that projects mirrored points to mirrored pixels: u becomes width - u, x becomes -x."""
    pixels = np.array([[-1.0, 0.0, seen_by.width], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    return camera(pixels @ np.array(seen_by.K) @ _ACROSS, seen_by.width, seen_by.height)


def mirrored_solid(solid: Box3D) -> Box3D:
    """The box on the other side.

    Its own length axis turns around as well, because the turn would be no rotation otherwise.
    """
    return box3d(
        _ACROSS @ np.array(solid.centre), solid.dimensions, _ACROSS @ np.array(solid.rotation) @ _ACROSS
    )


def mirrored_box(box: Box) -> Box:
    """A unit box on the other side."""
    return (1 - box[2], box[1], 1 - box[0], box[3])


def mirrored_words(text: str) -> str:
    """ "left" for "right" and "right" for "left", in the case of the original."""

    def swap(found: re.Match[str]) -> str:
        word = _SWAPPED[found.group().lower()]
        if found.group().isupper():
            return word.upper()
        return word.capitalize() if found.group()[0].isupper() else word

    return _SIDE.sub(swap, text)


def _object(one: SceneObject) -> SceneObject:
    return one.model_copy(
        update={
            "name": one.name and mirrored_words(one.name),
            "label": mirrored_words(one.label),
            "box": one.box and mirrored_box(one.box),
            "solid": one.solid and mirrored_solid(one.solid),
        }
    )


def _part(part: Part) -> Part:
    match part:
        case TextPart(text):
            return TextPart(mirrored_words(text))
        case BoxPart(box):
            return BoxPart(mirrored_box(box))
        case PointPart((x, y)):
            return PointPart((1 - x, y))
    return part


def _fact(fact: dict[str, Any]) -> dict[str, Any]:
    """A stored fact: "left" and "camera_right" are predicates here, and may be answers."""
    sides = {
        name: OPPOSITE[fact[name]] for name in ("predicate", "answer") if str(fact.get(name)).endswith(_SIDES)
    }
    return fact | sides | ({"label": mirrored_words(fact["label"])} if "label" in fact else {})
