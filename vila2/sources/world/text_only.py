"""Text without images from the miniature world: instructions for joint SFT, and a test of language models.

The test has two parts. "wording" asks which of two texts is a caption, and which has two neighboring words
exchanged; a language model that has read captions knows this before it sees an image. "told" asks about
objects that are listed in words, which the shipped language model has to learn.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vila2.claims.articles import article
from vila2.data.chance import generator
from vila2.data.sample import Sample, assistant, user
from vila2.sources.world.scene import Scene, sample_scene
from vila2.sources.world.scene_captions import detailed_caption
from vila2.sources.world.scene_questions import questions
from vila2.sources.world.scene_relations import centre_u
from vila2.sources.world.vocabulary import COLOURS, NUMBERS, SHAPES

#: Kinds of questions that a list of objects from left to right answers, with the possible answers.
TOLD = {
    "existence": ("yes", "no"),
    "colour": tuple(COLOURS),
    "shape": SHAPES,
    "count": NUMBERS[:6],
    "left_right": ("left", "right"),
}


def text_instructions(split: str, seed: int, count: int, start: int = 0, asked: int = 6) -> Iterator[Sample]:
    """Yields lists of objects in words, with questions about them in branches.

    Args:
        split: split of the scenes, which are not rendered.
        seed: seed of the stream.
        count: number of scenes.
        start: number of the first scene.
        asked: most questions about a list.
    """
    for number in range(start, start + count):
        scene = sample_scene(split, seed, number)
        rng = generator("text instructions", scene.key)
        turns = [user(told(scene) + " ")]
        for branch, one in enumerate(questions(scene, rng, TOLD)[:asked], start=1):
            turns += [user(one.question, branch=branch), assistant(one.answer, branch=branch)]
        yield Sample(f"{scene.key}-text", (), tuple(turns), {})


def text_test(split: str, seed: int, count: int, start: int = 0) -> Iterator[Sample]:
    """Yields choices without images: for each scene one of wording, and one about its objects in words.

    As in :func:`vila2.sources.world.documents.in_context_samples`, the last turn holds the right answer.

    Args:
        split: split of the scenes, which are not rendered.
        seed: seed of the stream.
        count: number of scenes.
        start: number of the first scene.
    """
    for number in range(start, start + count):
        scene = sample_scene(split, seed, number)
        rng = generator("text test", scene.key)
        caption = detailed_caption(scene, rng)
        choices = [caption, exchanged(caption, rng)]
        answer = int(rng.integers(2))
        meta = {"kind": "wording", "choices": choices[::-1] if answer else choices, "answer": answer}
        yield Sample(f"{scene.key}-wording", (), (assistant(caption),), meta | {"style": "plain"})
        kinds = list(TOLD)
        for kind in (kinds[i] for i in rng.permutation(len(kinds))):
            if found := questions(scene, rng, [kind]):
                meta = {"kind": "told", "choices": list(TOLD[kind]), "style": "chat"}
                meta["answer"] = TOLD[kind].index(found[0].answer)
                turns = (user(f"{told(scene)} {found[0].question}"), assistant(found[0].answer))
                yield Sample(f"{scene.key}-told", (), turns, meta)
                break


def told(scene: Scene) -> str:
    """Lists all objects of a scene in words, from left to right."""
    names = [article(f"{thing.size} {thing.name}") for thing in sorted(scene.objects, key=centre_u)]
    return f"From left to right there is {', '.join(names[:-1])} and {names[-1]}."


def exchanged(text: str, rng: np.random.Generator) -> str:
    """Exchanges two different neighboring words of a text; the first word stays in place."""
    words = text.split()
    places = [n for n in range(1, len(words) - 1) if words[n] != words[n + 1]]
    place = places[int(rng.integers(len(places)))]
    words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)
