"""Documents of the miniature world: several images with sentences in order, and tasks that only their examples explain.

Every sentence of a document is about the same aspect of its image, which nothing but the other sentences tells: a
reader who sees what was said of the images before knows what will be said of the next one. So images in order are
worth more than the same images in pairs (VILA section 3.2), and a document without its last sentence is a question
that can be answered from examples alone (in-context learning, section 3.1).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from vila2.data.chance import generator
from vila2.data.sample import ImagePart, Sample, Turn, assistant, user
from vila2.data.tar_sample import pair_turns
from vila2.errors import DataError
from vila2.sources.mmc4 import ORDERS, interleaved_turns
from vila2.sources.world.render import render
from vila2.sources.world.scene import Scene, sample_scene
from vila2.sources.world.scene_relations import centre_u, left_right
from vila2.sources.world.vocabulary import COLOURS, NUMBERS, SHAPES

#: What a document can be about.
ASPECTS = ("count", "leftmost", "rightmost")

_OPENINGS = ("my new picture", "best picture of the day", "photo of the day", "free stock photo")
_FEWEST, _MOST = 3, 5  # images of a document
_RESERVED = 40  # scenes that one document or task may draw from


def document_samples(
    split: str, seed: int, count: int, start: int = 0, order: str = "interleaved"
) -> Iterator[Sample]:
    """Documents of three to five scenes, in one of MMC4's orders.

    Args:
        split, seed: which stream of scenes.
        count: documents, not images; ``start``: number of the first one.
        order: "interleaved", "pairs" (each image with its one sentence, as a sample of its own) or "reordered" (all
            images, then all sentences), as of :func:`vila2.sources.mmc4.read`.

    Raises:
        DataError: an unknown order.
    """
    if order not in ORDERS:
        raise DataError(f"order={order!r}", hint=f"use one of {', '.join(ORDERS)}")
    for number in range(start, start + count):
        key = f"{split}-document-{seed}-{number:06d}"
        rng = generator("document", key)
        aspect = ASPECTS[int(rng.integers(len(ASPECTS)))]
        scenes = _clear_scenes(split, seed, number, int(rng.integers(_FEWEST, _MOST + 1)))
        sentences, places = _sentences([remarks(scene)[aspect] for scene in scenes], rng)
        images = tuple(_picture(scene) for scene in scenes)
        meta = {"aspect": aspect}
        if order == "pairs":
            for place, (image, sentence) in enumerate(zip(images, places, strict=True)):
                yield Sample(f"{key}/{place}", (image,), pair_turns(1, sentences[sentence]), meta)
        elif order == "interleaved":
            yield Sample(key, images, interleaved_turns(sentences, places), meta)
        else:
            yield Sample(key, images, pair_turns(len(images), " ".join(sentences)), meta)


def in_context_samples(split: str, seed: int, count: int, start: int = 0, shots: int = 4) -> Iterator[Sample]:
    """Images with what is said of them, and a last image of which it is to be chosen; the last turn says what is right.

    ``meta["choices"]`` holds what each aspect would say of the last image and one text that is wrong in the right
    aspect, in random order; ``meta["answer"]`` is the number of the right one. Without examples the aspect is not
    known. The last image and the choices of a task are the same for any number of examples, and so is its key.

    Args:
        split, seed, count, start: as of :func:`document_samples`; ``count`` counts tasks.
        shots: examples before the last image.
    """
    for number in range(start, start + count):
        key = f"{split}-in-context-{seed}-{number:06d}"
        rng = generator("in context", key)
        aspect = ASPECTS[number % len(ASPECTS)]
        asked, *examples = _clear_scenes(split, seed, number, shots + 1)
        said = remarks(asked)
        choices = list(dict.fromkeys([*said.values(), _wrong(asked, said[aspect], aspect, rng)]))
        choices = [choices[i] for i in rng.permutation(len(choices))]
        turns: list[Turn] = []
        for place, example in enumerate(examples):
            turns += [
                user(ImagePart(place)),
                Turn("assistant", assistant(remarks(example)[aspect]).parts, False),
            ]
        turns += [user(ImagePart(len(examples))), assistant(said[aspect])]
        meta = {"kind": aspect, "choices": choices, "answer": choices.index(said[aspect]), "style": "plain"}
        yield Sample(key, tuple(_picture(scene) for scene in (*examples, asked)), tuple(turns), meta)


def remarks(scene: Scene) -> dict[str, str]:
    """What a document about each aspect says of a scene."""
    across = sorted(scene.objects, key=centre_u)
    return {
        "count": f"{NUMBERS[len(across)]} objects.",
        "leftmost": f"{across[0].name}.",
        "rightmost": f"{across[-1].name}.",
    }


# The three orders of a document are made of the same scenes, one dataset after another.
@lru_cache(maxsize=4096)
def _clear_scenes(split: str, seed: int, number: int, count: int) -> tuple[Scene, ...]:
    """The first scenes of a number's share of the stream whose ends are clear and differ."""
    found: list[Scene] = []
    for index in range(number * _RESERVED, (number + 1) * _RESERVED):
        scene = sample_scene(split, seed, index)
        across = sorted(scene.objects, key=centre_u)
        clear = left_right(across[0], across[1]) == "left" and left_right(across[-1], across[-2]) == "right"
        if clear and across[0].name != across[-1].name:
            found.append(scene)
        if len(found) == count:
            return tuple(found)
    raise DataError(
        f"document {number} of split {split!r}: {len(found)} clear scenes among {_RESERVED}, {count} asked for",
        hint="ask for fewer images or examples",
    )


def _sentences(said: list[str], rng: np.random.Generator) -> tuple[list[str], list[int]]:
    """The sentences of a document, and which one stands behind each image; a few belong to no image."""
    sentences = [_OPENINGS[int(rng.integers(len(_OPENINGS)))]]
    places = []
    for text in said:
        places.append(len(sentences))
        sentences.append(text)
        if rng.random() < 0.2:
            sentences.append("click to see the photo.")
    return sentences, places


def _wrong(scene: Scene, right: str, aspect: str, rng: np.random.Generator) -> str:
    """Another text of the same aspect, false of the scene."""
    if aspect == "count":
        others = [f"{NUMBERS[n]} objects." for n in range(2, 6)]
    else:
        present = {thing.name for thing in scene.objects}
        names = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
        others = [f"{name}." for name in names if name not in present]
    others = [other for other in others if other != right]
    return others[int(rng.integers(len(others)))]


@lru_cache(maxsize=4096)
def _picture(scene: Scene) -> bytes:
    picture = io.BytesIO()
    render(scene).save(picture, format="PNG", compress_level=1)
    return picture.getvalue()
