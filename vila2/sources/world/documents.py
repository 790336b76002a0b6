"""Documents of the miniature world: several images with sentences in order, and tasks that examples explain.

All sentences of a document are about the same aspect of its images, which only the other sentences reveal. So
images in order teach more than the same images in pairs (VILA section 3.2), and a document without its last
sentence is a question that can be answered from examples (in-context learning, section 3.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from vila2.data.chance import generator
from vila2.data.sample import ImagePart, Sample, Turn, assistant, user
from vila2.data.tar_sample import pair_turns
from vila2.errors import DataError
from vila2.sources.mmc4 import ORDERS, interleaved_turns
from vila2.sources.world.render import png
from vila2.sources.world.scene import Scene, sample_scene
from vila2.sources.world.scene_relations import centre_u, left_right
from vila2.sources.world.vocabulary import COLOURS, NUMBERS, SHAPES

#: Aspects that a document can be about.
ASPECTS = ("count", "leftmost", "rightmost")

_OPENINGS = ("my new picture", "best picture of the day", "photo of the day", "free stock photo")
_FEWEST, _MOST = 3, 5  # images of a document
_RESERVED = 40  # scenes of the stream for one document or task


def document_samples(
    split: str, seed: int, count: int, start: int = 0, order: str = "interleaved"
) -> Iterator[Sample]:
    """Yields documents of three to five scenes, in one of MMC4's orders.

    Args:
        split: split of the scenes.
        seed: seed of the stream.
        count: number of documents.
        start: number of the first document.
        order: "interleaved", "pairs" or "reordered", as in :func:`vila2.sources.mmc4.read`.

    Raises:
        DataError: the order is unknown.
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
    """Yields tasks: examples of images and sentences, then an image whose sentence is to be chosen.

    The last turn holds the right sentence. ``meta["choices"]`` holds, in random order, a sentence about each
    aspect of the last image and one that is false of the right aspect; ``meta["answer"]`` is the number of
    the right one. Without examples the aspect is unknown. A task has the same key, last image and choices for
    any number of examples.

    Args:
        split: split of the scenes.
        seed: seed of the stream.
        count: number of tasks.
        start: number of the first task.
        shots: number of examples before the last image.
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
    """Returns the sentence about each aspect of a scene."""
    across = sorted(scene.objects, key=centre_u)
    return {
        "count": f"{NUMBERS[len(across)]} objects.",
        "leftmost": f"{across[0].name}.",
        "rightmost": f"{across[-1].name}.",
    }


# The three orders of a document use the same scenes, one dataset after another.
@lru_cache(maxsize=4096)
def _clear_scenes(split: str, seed: int, number: int, count: int) -> tuple[Scene, ...]:
    """Finds the first scenes in a document's part of the stream whose outer objects are clear and differ."""
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
        f"document {number} of split {split!r} needs {count} clear scenes; {len(found)} of {_RESERVED} are",
        hint="ask for fewer images or examples",
    )


def _sentences(said: list[str], rng: np.random.Generator) -> tuple[list[str], list[int]]:
    """Returns the sentences of a document, a few about no image, and the number of each image's sentence."""
    sentences = [_OPENINGS[int(rng.integers(len(_OPENINGS)))]]
    places = []
    for text in said:
        places.append(len(sentences))
        sentences.append(text)
        if rng.random() < 0.2:
            sentences.append("click to see the photo.")
    return sentences, places


def _wrong(scene: Scene, right: str, aspect: str, rng: np.random.Generator) -> str:
    """Returns another sentence about the same aspect that is false of the scene."""
    if aspect == "count":
        others = [f"{NUMBERS[n]} objects." for n in range(2, 6)]
    else:
        present = {thing.name for thing in scene.objects}
        names = [f"{color} {shape}" for color in COLOURS for shape in SHAPES]
        others = [f"{name}." for name in names if name not in present]
    others = [other for other in others if other != right]
    return others[int(rng.integers(len(others)))]


@lru_cache(maxsize=4096)
def _picture(scene: Scene) -> bytes:
    return png(scene)
