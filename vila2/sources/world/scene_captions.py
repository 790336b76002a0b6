"""Writes texts about a scene: short noisy alt-text as on the web, and detailed captions that are true."""

from collections.abc import Sequence

import numpy as np

from vila2.claims.articles import article, plural
from vila2.sources.world import scene_relations as relations
from vila2.sources.world.scene import Scene, WorldObject
from vila2.sources.world.vocabulary import COLOURS, NUMBERS, SHAPES, SIZES

_GENERIC = (
    "a nice picture", "photo of the day", "stock photo", "image for sale", "new photo",
    "best picture of the day", "free stock image", "click to see the photo", "untitled picture",
    "my new picture",
)  # fmt: skip
_ALT_TEXTS = (
    "{size} {color} {shape}",
    "{color} {shape}",
    "a {size} {color} {shape}",
    "photo of {a_color} {shape}",
    "{color} {shape} for sale",
    "{a_color} {shape} on the ground",
    "{size} {color} {shape} photo",
)

#: Share of alt-texts that say nothing; and of the others, share of those with one wrong attribute.
GENERIC_SHARE, WRONG_SHARE = 0.2, 1 / 3


def _pick(rng: np.random.Generator, values: Sequence[str]) -> str:
    return values[int(rng.integers(len(values)))]


def _other(rng: np.random.Generator, values: tuple[str, ...], than: str) -> str:
    return _pick(rng, [value for value in values if value != than])


def alt_text(scene: Scene, rng: np.random.Generator) -> str:
    """Writes a short text about one object as web images carry it: a fifth say nothing, many are wrong.

    Args:
        scene: scene of the image.
        rng: random generator that makes all choices.
    """
    if rng.random() < GENERIC_SHARE:
        return _pick(rng, _GENERIC)
    # People name large and near objects more often.
    weights = np.array([thing.dimensions[0] / thing.depth for thing in scene.objects])
    thing = scene.objects[int(rng.choice(len(weights), p=weights / weights.sum()))]
    shape, color, size = thing.shape, thing.colour, thing.size
    if rng.random() < WRONG_SHARE:
        match _pick(rng, ("shape", "color", "color", "size")):
            case "shape":
                shape = _other(rng, SHAPES, shape)
            case "color":
                color = _other(rng, tuple(COLOURS), color)
            case _:
                size = _other(rng, tuple(SIZES), size)
                return f"{size} {color} {shape}"
    template = _pick(rng, _ALT_TEXTS)
    return template.format(size=size, color=color, shape=shape, a_color=article(color))


def detailed_caption(
    scene: Scene, rng: np.random.Generator, *, spatial: float = 0.5, words: float = 0.5
) -> str:
    """Writes a true caption of one to all objects, from left to right.

    Args:
        scene: scene of the image.
        rng: random generator that makes all choices.
        spatial: share of possible positions and relations to tell, roughly, 0 to 1.
        words: share of words on signs to tell, 0 to 1.
    """
    count = len(scene.objects)
    told = int(rng.choice([1, max(1, count - 1), count], p=[0.12, 0.23, 0.65]))
    # The order from left to right also says what has been told already.
    order = sorted(scene.objects, key=relations.centre_u)[:told]
    sentences: list[str] = []
    if rng.random() < 0.5:
        sentences.append(_opening(count, rng))
    used: list[WorldObject] = []
    if rng.random() < 0.4:
        sentences.append(_listing(scene, order, rng))
        used = order
    else:
        for thing in order:
            sentences.append(_introduction(scene, thing, used, rng, spatial))
            used = [*used, thing]
    for thing in used:
        if thing.word is not None and rng.random() < words and relations.is_unique(scene, thing):
            sentences.append(_sign(thing, rng))
    for sentence in _relation_sentences(scene, used, rng, spatial):
        if not any(sentence[4:] in earlier for earlier in sentences):
            sentences.append(sentence)
    if rng.random() < 0.2:
        sentences += _counts(scene, rng)
    return " ".join(sentences)


def phrase(thing: WorldObject, rng: np.random.Generator) -> str:
    """Names an object by its attributes without an article; its size is sometimes left out."""
    return thing.name if rng.random() < 0.3 else f"{thing.size} {thing.name}"


def _opening(count: int, rng: np.random.Generator) -> str:
    number = NUMBERS[count]
    return _pick(
        rng,
        (f"The image shows {number} objects on the ground.", f"There are {number} objects in the image.",
         f"This is a scene with {number} objects.", f"We see {number} objects."),
    )  # fmt: skip


def _listing(scene: Scene, order: list[WorldObject], rng: np.random.Generator) -> str:
    phrases = [article(phrase(thing, rng)) for thing in order]
    text = phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1]
    return _pick(rng, ("The image shows ", "There is ", "We can see ", "The scene contains ")) + text + "."


def _place(thing: WorldObject, rng: np.random.Generator, spatial: float) -> str | None:
    places = []
    if (side := relations.side(thing)) is not None:
        places.append("in the middle" if side == "middle" else f"on the {side}")
    if (zone := relations.ground_zone(thing)) is not None:
        places.append(f"in the {zone}")
    return _pick(rng, places) if places and rng.random() < 0.3 + 0.6 * spatial else None


def _introduction(
    scene: Scene, thing: WorldObject, used: list[WorldObject], rng: np.random.Generator, spatial: float
) -> str:
    noun = article(phrase(thing, rng))
    anchors = [other for other in used if relations.is_unique(scene, other)]
    if anchors and rng.random() < 0.5 * spatial:
        anchor = anchors[int(rng.integers(len(anchors)))]
        relation = _relation(thing, anchor, rng)
        if relation is not None:
            return f"{noun.capitalize()} is {relation} the {anchor.name}."
    place = _place(thing, rng, spatial)
    if place is None:
        return _pick(
            rng, (f"There is {noun}.", f"We can see {noun}.", f"{noun.capitalize()} stands on the ground.")
        )
    return _pick(
        rng,
        (f"There is {noun} {place}.", f"{place.capitalize()} there is {noun}.",
         f"{noun.capitalize()} is {place}.", f"{noun.capitalize()} stands {place} of the image."),
    )  # fmt: skip


def _sign(thing: WorldObject, rng: np.random.Generator) -> str:
    return _pick(
        rng,
        (f'The sign on the {thing.name} says "{thing.word}".',
         f'The {thing.name} has a sign that says "{thing.word}".',
         f'On the {thing.name} we can read the word "{thing.word}".'),
    )  # fmt: skip


_RELATION_PHRASES = {
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
    "front": ("in front of",),
    "behind": ("behind",),
}


def _relation(one: WorldObject, other: WorldObject, rng: np.random.Generator) -> str | None:
    found = [
        value for value in (relations.left_right(one, other), relations.front_behind(one, other)) if value
    ]
    return _pick(rng, _RELATION_PHRASES[_pick(rng, found)]) if found else None


def _relation_sentences(
    scene: Scene, used: list[WorldObject], rng: np.random.Generator, spatial: float
) -> list[str]:
    known = [thing for thing in used if relations.is_unique(scene, thing)]
    sentences: list[str] = []
    while len(known) >= 2 and len(sentences) < 2 and rng.random() < 0.5 * spatial:
        one, other = (known[i] for i in rng.permutation(len(known))[:2])
        relation = _relation(one, other, rng)
        if relation is not None:
            sentences.append(f"The {one.name} is {relation} the {other.name}.")
    return sentences


def _counts(scene: Scene, rng: np.random.Generator) -> list[str]:
    shapes = sorted({thing.shape for thing in scene.objects})
    shape = _pick(rng, shapes)
    number = sum(thing.shape == shape for thing in scene.objects)
    if number < 2:
        return [f"There is only one {shape}."]
    return [f"There are {NUMBERS[number]} {plural(shape)}."]
