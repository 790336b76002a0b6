"""Scenes of the miniature world: objects on a ground plane, sampled deterministically, with exact truth."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vila2.data.chance import generator
from vila2.sources.world import geometry
from vila2.sources.world.vocabulary import (
    COLOURS,
    KNOWN_SIGN_WORDS,
    SHAPES,
    SIZES,
    TEST_SIGN_WORDS,
    TRAIN_SIGN_WORDS,
)

#: Splits; each has its own stream of scenes. "vision" and "language" serve only to train the shipped parts.
SPLITS: tuple[str, ...] = ("vision", "language", "pretrain", "sft", "specialist", "test")

#: Lists of words of a split's signs; each sign draws a list, then a word. By default the known words.
_WORDS = {
    "vision": (TRAIN_SIGN_WORDS,),
    "language": (TRAIN_SIGN_WORDS,),
    "test": (KNOWN_SIGN_WORDS, TEST_SIGN_WORDS),
}
#: Shares of scenes with no sign, one and two; more signs where reading is to be learned and tested.
_SIGNS = {"vision": (0.4, 0.4, 0.2), "language": (0.4, 0.4, 0.2)}
_MANY_SIGNS = (0.2, 0.6, 0.2)

#: Width, height and length of a shape, in units of its size.
_PROPORTIONS = {
    "cube": (0.88, 0.88, 0.88),
    "ball": (1.0, 1.0, 1.0),
    "cylinder": (0.8, 1.1, 0.8),
    "cone": (1.05, 1.2, 1.05),
    "diamond": (1.05, 1.35, 1.05),
}
_NEAR, _FAR = 2.6, 5.4
_LEAST_VISIBLE = 0.6
_NO_BOX = (0.0, 0.0, 0.0, 0.0)
_LETTER_PITCH, _SIGN_HEIGHT, _SIGN_GAP = 8, 11, 2


@dataclass(frozen=True, slots=True)
class WorldObject:
    """One solid on the ground.

    Attributes:
        shape: shape, one of ``SHAPES``.
        colour: color, one of ``COLOURS``.
        size: size, one of ``SIZES``.
        centre: center (x, y, z) in meters in the camera frame: +x right, +y down, +z forward.
        dimensions: (width, height, length) in meters.
        yaw: rotation about the vertical, in radians.
        word: word on the sign that stands on the object; None without a sign.
        box: box (x0, y0, x1, y1) of the silhouette without the sign, in unit coordinates of the image.
        visibility: share of the silhouette that nothing hides, 0 to 1.
    """

    shape: str
    colour: str
    size: str
    centre: tuple[float, float, float]
    dimensions: tuple[float, float, float]
    yaw: float
    word: str | None
    box: tuple[float, float, float, float]
    visibility: float

    @property
    def depth(self) -> float:
        """Distance along the viewing direction, in meters; the world has no other distance."""
        return self.centre[2]

    @property
    def name(self) -> str:
        """Color and shape, by which questions name the object."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True, slots=True)
class Scene:
    """The whole truth about one image.

    Attributes:
        key: key of the scene.
        objects: objects of the scene.
        K: intrinsics of the camera in pixels, 3 x 3.
        size: side of the image in pixels.
    """

    key: str
    objects: tuple[WorldObject, ...]
    K: tuple[geometry.Vector, geometry.Vector, geometry.Vector] = geometry.INTRINSICS
    size: int = geometry.SIZE

    def to_json(self) -> dict[str, Any]:
        """Returns JSON values from which :meth:`from_json` restores an equal scene."""
        return cast("dict[str, Any]", json.loads(json.dumps(asdict(self))))

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Scene":
        """Restores what :meth:`to_json` returned."""
        objects = tuple(map(_object_from_json, value["objects"]))
        first, second, third = map(tuple, value["K"])
        return cls(value["key"], objects, (first, second, third), value["size"])


def _object_from_json(value: dict[str, Any]) -> WorldObject:
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in value.items()}
    return WorldObject(**fields)


def sample_scene(split: str, seed: int, index: int) -> Scene:
    """Samples a scene; the same arguments always give the same scene.

    Args:
        split: split of the scene, one of ``SPLITS``.
        seed: seed of the stream.
        index: number of the scene in the stream.

    Raises:
        ValueError: the split is unknown.
    """
    if split not in SPLITS:
        raise ValueError(
            f"unknown split {split!r}; the splits of the miniature world are {', '.join(SPLITS)}"
        )
    rng = generator("scene", split, seed, index)
    words = _WORDS.get(split, (KNOWN_SIGN_WORDS,))
    count = int(rng.choice([2, 3, 4, 5], p=[0.2, 0.3, 0.3, 0.2]))
    signs = int(rng.choice([0, 1, 2], p=_SIGNS.get(split, _MANY_SIGNS)))
    while True:
        drafts = _draft_objects(rng, count, signs, words)
        objects = _finish(drafts) if drafts is not None else None
        if objects is not None:
            return Scene(f"{split}-{seed}-{index:06d}", objects)


def sign_box(thing: WorldObject) -> tuple[int, int, int, int] | None:
    """Returns the pixels (x0, y0, x1, y1), end exclusive, of an object's sign; None if it has none."""
    if thing.word is None:
        return None
    x0, y0, x1, _ = (side * geometry.SIZE for side in thing.box)
    width = _LETTER_PITCH * len(thing.word) + 3
    left = round((x0 + x1) / 2 - width / 2)
    bottom = round(y0) - _SIGN_GAP
    return left, bottom - _SIGN_HEIGHT, left + width, bottom


def _pick(rng: np.random.Generator, values: tuple[str, ...]) -> str:
    return values[int(rng.integers(len(values)))]


def _draft_objects(
    rng: np.random.Generator, count: int, signs: int, words: tuple[tuple[str, ...], ...]
) -> list[WorldObject] | None:
    """Places objects, with their visibility still open; None if they do not fit."""
    drafts: list[WorldObject] = []
    for position in range(count):
        shape, color, size = _pick(rng, SHAPES), _pick(rng, tuple(COLOURS)), _pick(rng, tuple(SIZES))
        if drafts and rng.random() < 0.4:  # shared attributes give counts above one and hard negatives
            other = drafts[int(rng.integers(len(drafts)))]
            shape, color = (other.shape, color) if rng.random() < 0.6 else (shape, other.colour)
        word = _pick(rng, words[int(rng.integers(len(words)))]) if position < signs else None
        for _ in range(12):
            candidate = _place(rng, shape, color, size, word)
            if candidate is not None and all(_apart(candidate, other) for other in drafts):
                drafts.append(candidate)
                break
        else:
            return None
    order = rng.permutation(count)
    return [drafts[i] for i in order]


def _place(
    rng: np.random.Generator, shape: str, color: str, size: str, word: str | None
) -> WorldObject | None:
    scale = SIZES[size] * (0.94 + 0.12 * rng.random())
    width, height, length = (round(scale * part, 4) for part in _PROPORTIONS[shape])
    z = round(_NEAR + (_FAR - _NEAR) * rng.random(), 4)
    x = round((rng.random() * 2 - 1) * geometry.SIZE / 2 / geometry.FOCAL * z, 4)
    center = (x, round(geometry.CAMERA_HEIGHT - height / 2, 4), z)
    yaw = round(np.pi / 2 * rng.random(), 4)
    thing = WorldObject(shape, color, size, center, (width, height, length), yaw, word, _NO_BOX, 1.0)
    x0, y0, x1, y1 = (round(side / geometry.SIZE, 4) for side in geometry.silhouette_box(thing))
    if x0 < 0.01 or y0 < 0.01 or x1 > 0.99 or y1 > 0.99:
        return None
    thing = replace(thing, box=(x0, y0, x1, y1))
    sign = sign_box(thing)
    if sign is not None and (sign[0] < 0 or sign[1] < 0 or sign[2] > geometry.SIZE):
        return None
    return thing


def _apart(one: WorldObject, other: WorldObject) -> bool:
    """Tells whether two objects are apart, and hide nothing of each other's signs."""
    gap = np.hypot(one.centre[0] - other.centre[0], one.centre[2] - other.centre[2])
    if gap < 0.62 * (one.dimensions[0] + other.dimensions[0]):
        return False
    first, second = sign_box(one), sign_box(other)
    if first and second and _overlap(first, second, 1):
        return False
    for sign, owner, thing in ((first, one, other), (second, other, one)):
        body = tuple(side * geometry.SIZE for side in thing.box)
        # A nearer object would hide the sign. A sign may hide a little of a farther object.
        if sign and _overlap(sign, body, 0) and thing.depth < owner.depth:
            return False
    return True


def _overlap(a: Sequence[float], b: Sequence[float], margin: float) -> bool:
    return a[0] < b[2] + margin and b[0] < a[2] + margin and a[1] < b[3] + margin and b[1] < a[3] + margin


def owners(objects: Sequence[WorldObject], step: float = 1.0) -> tuple[NDArray[np.int8], list[int]]:
    """Finds the object that each pixel shows; signs hide what is behind them.

    Args:
        objects: objects of a scene.
        step: side of a sampled square, in pixels.

    Returns:
        Numbers of objects, int8 [size/step, size/step], -1 for ground, sky and signs; and for each object the
        number of sampled squares in its whole silhouette.
    """
    side = int(geometry.SIZE / step)
    grid = (np.arange(side, dtype=np.float32) + 0.5) * np.float32(step)
    nearest = np.full((side, side), np.inf, dtype=np.float32)
    owner = np.full((side, side), -1, dtype=np.int8)
    areas = []
    for number, thing in enumerate(objects):
        x0, y0, x1, y1 = (int(edge * side) for edge in thing.box)
        window = np.s_[y0 : y1 + 1, x0 : x1 + 1]
        depth, _ = geometry.cast(thing, grid[window[1]], grid[window[0]])
        areas.append(int(np.isfinite(depth).sum()))
        closer = depth < nearest[window]
        owner[window][closer] = number
        nearest[window] = np.minimum(nearest[window], depth)
    for thing in objects:
        sign = sign_box(thing)
        if sign is not None:
            x0, y0, x1, y1 = (int(edge / step) for edge in sign)
            owner[y0:y1, x0:x1] = -1
    return owner, areas


def _finish(drafts: list[WorldObject]) -> tuple[WorldObject, ...] | None:
    owner, areas = owners(drafts)
    finished = []
    for number, (thing, area) in enumerate(zip(drafts, areas, strict=True)):
        visibility = round(float((owner == number).sum()) / max(area, 1), 3)
        if visibility < _LEAST_VISIBLE:
            return None
        finished.append(replace(thing, visibility=visibility))
    return tuple(finished)
