"""Asks short questions about a scene with answers of one or two words, only where the answer is clear."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from vila2.claims.articles import article, plural
from vila2.sources.world import scene_relations as relations
from vila2.sources.world.scene import Scene, WorldObject
from vila2.sources.world.vocabulary import COLOURS, NUMBERS, SHAPES, TEST_SIGN_WORDS

#: Kinds of questions.
KINDS: tuple[str, ...] = (
    "existence", "colour", "shape", "count", "left_right", "front_behind", "closest", "farthest", "reading",
    "reading_unseen",
)  # fmt: skip

#: Share of each kind in the SFT set; the kinds that specialists teach are scarce.
SFT_MIX = MappingProxyType(
    {"existence": 0.28, "colour": 0.12, "shape": 0.10, "count": 0.10, "left_right": 0.19,
     "front_behind": 0.17, "closest": 0.01, "farthest": 0.01, "reading": 0.02}
)  # fmt: skip
#: The kind of a question for a word that nothing in training shows; only the test asks it.
UNSEEN = "reading_unseen"


@dataclass(frozen=True, slots=True)
class SceneQuestion:
    """A question about a scene.

    Attributes:
        kind: kind of the question, one of ``KINDS``.
        question: text of the question.
        answer: only right answer, in lower case.
    """

    kind: str
    question: str
    answer: str


def questions(
    scene: Scene, rng: np.random.Generator, kinds: Iterable[str] | None = None
) -> list[SceneQuestion]:
    """Asks every question that a scene answers clearly, each at most once, in random order.

    "existence" asks for as many absent as present objects; "left_right" and "front_behind" ask about every
    pair in both orders; "reading" asks for words that training may show, "reading_unseen" for the others.

    Args:
        scene: scene to ask about.
        rng: random generator that makes all choices.
        kinds: kinds of questions; all by default.

    Raises:
        ValueError: a kind is unknown.
    """
    found: list[SceneQuestion] = []
    for kind in KINDS if kinds is None else kinds:
        if kind not in _ASK:
            raise ValueError(f"unknown kind of question {kind!r}; the kinds are {', '.join(KINDS)}")
        found += _ASK[kind](scene, rng)
    return [found[i] for i in rng.permutation(len(found))]


def sample_questions(
    scene: Scene, rng: np.random.Generator, count: int, mix: dict[str, float] | None = None
) -> list[SceneQuestion]:
    """Draws different questions about a scene.

    Args:
        scene: scene to ask about.
        rng: random generator that makes all choices.
        count: number of questions; fewer if the scene does not offer as many.
        mix: shares of the kinds; ``SFT_MIX`` by default.
    """
    mix = dict(SFT_MIX if mix is None else mix)
    pools = {kind: questions(scene, rng, [kind]) for kind in mix}
    chosen: list[SceneQuestion] = []
    # The share of a kind that a scene does not offer is lost, so that scarce kinds stay scarce.
    for _ in range(count * 4):
        kinds = list(mix)
        kind = kinds[int(rng.choice(len(kinds), p=np.array(list(mix.values())) / sum(mix.values())))]
        if pools[kind] and len(chosen) < count:
            chosen.append(pools[kind].pop())
    return chosen


def _coin(rng: np.random.Generator) -> bool:
    return bool(rng.random() < 0.5)


def _unique(scene: Scene) -> list[WorldObject]:
    return [thing for thing in scene.objects if relations.is_unique(scene, thing)]


def _existence(scene: Scene, rng: np.random.Generator) -> list[SceneQuestion]:
    present = sorted({(thing.colour, thing.shape) for thing in scene.objects})
    asked = [present[i] for i in rng.permutation(len(present))[:3]]
    absent: list[tuple[str, str]] = []
    while len(absent) < len(asked):
        color, shape = present[int(rng.integers(len(present)))]
        # Two negatives in three share the color or the shape with a present object.
        match int(rng.integers(3)):
            case 0:
                color = list(COLOURS)[int(rng.integers(len(COLOURS)))]
            case 1:
                shape = SHAPES[int(rng.integers(len(SHAPES)))]
            case _:
                color = list(COLOURS)[int(rng.integers(len(COLOURS)))]
                shape = SHAPES[int(rng.integers(len(SHAPES)))]
        if (color, shape) not in present and (color, shape) not in absent:
            absent.append((color, shape))
    pairs = [(pair, "yes") for pair in asked] + [(pair, "no") for pair in absent]
    return [SceneQuestion("existence", f"Is there {article(f'{color} {shape}')}?", answer)
            for (color, shape), answer in pairs]  # fmt: skip


def _color(scene: Scene, rng: np.random.Generator) -> list[SceneQuestion]:
    shapes = [thing.shape for thing in scene.objects]
    return [SceneQuestion("colour", f"What color is the {thing.shape}?", thing.colour)
            for thing in scene.objects if shapes.count(thing.shape) == 1]  # fmt: skip


def _shape(scene: Scene, rng: np.random.Generator) -> list[SceneQuestion]:
    colors = [thing.colour for thing in scene.objects]
    return [SceneQuestion("shape", f"What shape is the {thing.colour} object?", thing.shape)
            for thing in scene.objects if colors.count(thing.colour) == 1]  # fmt: skip


def _count(scene: Scene, rng: np.random.Generator) -> list[SceneQuestion]:
    found = [("objects", len(scene.objects))]
    for shape in SHAPES:
        number = sum(thing.shape == shape for thing in scene.objects)
        # Most shapes are there once or not at all. Fewer of them are asked, so that "one" is no safe guess.
        if number >= 2 or rng.random() < (0.35 if number == 1 else 0.12):
            found.append((plural(shape), number))
    for color in COLOURS:
        number = sum(thing.colour == color for thing in scene.objects)
        if number >= 2:
            found.append((f"{color} objects", number))
    return [SceneQuestion("count", f"How many {noun} are there?", NUMBERS[number]) for noun, number in found]


def _pairs(scene: Scene) -> list[tuple[WorldObject, WorldObject]]:
    unique = _unique(scene)
    return [(one, other) for one in unique for other in unique if one is not other]


def _left_right(scene: Scene, rng: np.random.Generator) -> list[SceneQuestion]:
    return [SceneQuestion("left_right", f"Is the {one.name} left or right of the {other.name}?", answer)
            for one, other in _pairs(scene) if (answer := relations.left_right(one, other))]  # fmt: skip


def _front_behind(scene: Scene, rng: np.random.Generator) -> list[SceneQuestion]:
    return [
        SceneQuestion("front_behind", f"Is the {one.name} in front of or behind the {other.name}?", answer)
        for one, other in _pairs(scene)
        if (answer := relations.front_behind(one, other))
    ]


def _extreme(scene: Scene, thing: WorldObject | None, word: str) -> list[SceneQuestion]:
    if thing is None:
        return []
    preposition = "to" if word == "closest" else "from"
    return [SceneQuestion(word, f"Which object is {word} {preposition} the camera?", thing.name)]


def _closest(scene: Scene, rng: np.random.Generator) -> list[SceneQuestion]:
    return _extreme(scene, relations.closest(scene), "closest")


def _farthest(scene: Scene, rng: np.random.Generator) -> list[SceneQuestion]:
    return _extreme(scene, relations.farthest(scene), "farthest")


def _reading_of(
    scene: Scene, rng: np.random.Generator, kind: str, asked: Callable[[str], bool]
) -> list[SceneQuestion]:
    signs = [thing for thing in scene.objects if thing.word is not None]
    if len(signs) == 1 and _coin(rng):
        found = [(signs[0], "What does the sign say?")]
    else:
        found = [(thing, f"What does the sign on the {thing.name} say?")
                 for thing in signs if relations.is_unique(scene, thing)]  # fmt: skip
    return [SceneQuestion(kind, question, str(thing.word))
            for thing, question in found if asked(str(thing.word))]  # fmt: skip


def _reading(scene: Scene, rng: np.random.Generator) -> list[SceneQuestion]:
    return _reading_of(scene, rng, "reading", lambda word: word not in TEST_SIGN_WORDS)


def _reading_unseen(scene: Scene, rng: np.random.Generator) -> list[SceneQuestion]:
    return _reading_of(scene, rng, UNSEEN, lambda word: word in TEST_SIGN_WORDS)


_ASK: dict[str, Callable[[Scene, np.random.Generator], list[SceneQuestion]]] = {
    "existence": _existence, "colour": _color, "shape": _shape, "count": _count, "left_right": _left_right,
    "front_behind": _front_behind, "closest": _closest, "farthest": _farthest, "reading": _reading,
    UNSEEN: _reading_unseen,
}  # fmt: skip
