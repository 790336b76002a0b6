"""What the miniature language model reads: exchanges and captions about scenes that it is told, not shown."""

from __future__ import annotations

import string
from dataclasses import dataclass, replace

import numpy as np
from tokenizer_part import PROMPTS
from vision_part import cell_targets

from vila2.data.chance import generator
from vila2.sources.world.scene import Scene, sample_scene
from vila2.sources.world.scene_captions import detailed_caption
from vila2.sources.world.scene_questions import SceneQuestion, sample_questions
from vila2.sources.world.scene_relations import centre_u, is_unique

#: Kinds asked while the language model is taught: closest, farthest and reading are scarce, as later in SFT.
LANGUAGE_MIX = {
    "existence": 0.16, "colour": 0.24, "shape": 0.06, "count": 0.07, "left_right": 0.12, "front_behind": 0.17,
    "closest": 0.03, "farthest": 0.03, "reading": 0.12,
}  # fmt: skip

#: How often each kind of prompt stands before a description.
_PROMPT_MIX = {"brief": 0.25, "long": 0.55, "spatial": 0.12, "text": 0.08}


@dataclass(frozen=True, slots=True)
class Lesson:
    """One scene told in words.

    Attributes:
        cells: name -> [144, classes] shares of what the cells show (see ``vision_part.cell_targets``).
        chat: whether the branches are exchanges after a user token, or plain texts without one.
        branches: (question, answer) pairs; the question of a plain text is empty.
    """

    cells: dict[str, np.ndarray]
    chat: bool
    branches: tuple[tuple[str, str], ...]


def lesson(seed: int, index: int, captions: bool, questions: int = 8, focus: str | None = None) -> Lesson:
    """The lesson number ``index``: questions only, or descriptions only (three in four after a prompt).

    Args:
        focus: Kind of question to ask nearly alone. A model can answer some questions half right without a
            look at the right place ("what color is the cube": any color in the image), and it may get stuck
            there. A minute of that question alone ends this. The other kinds come back in the next minutes.
    """
    rng = generator("lesson", seed, index)
    scene = _respell(sample_scene("language", seed, index), rng)
    if not captions:
        mix = (
            {"existence": 0.04, "left_right": 0.03, "front_behind": 0.03, focus: 0.9}
            if focus
            else LANGUAGE_MIX
        )
        asked = sample_questions(scene, rng, questions, mix)
        if focus:
            return Lesson(cell_targets(scene), True, tuple((one.question, one.answer) for one in asked))
        branches = (
            [(one.question, one.answer) for one in asked] + _locations(scene, rng) + _listing(scene, rng)
        )
        return Lesson(cell_targets(scene), True, tuple(branches))
    if rng.random() < 0.75:
        return Lesson(cell_targets(scene), True, (_description(scene, rng), _description(scene, rng)))
    return Lesson(
        cell_targets(scene), False, tuple(("", detailed_caption(scene, rng, words=0.2)) for _ in range(3))
    )


def test_questions(seed: int, index: int, kinds: tuple[str, ...]) -> tuple[Lesson, list[SceneQuestion]]:
    """A held-out lesson of questions only, two of each kind at most, with their kinds."""
    rng = generator("exam", seed, index)
    scene = sample_scene("language", seed, index)
    asked = [one for kind in kinds for one in sample_questions(scene, rng, 2, {kind: 1.0})]
    return Lesson(cell_targets(scene), True, tuple((q.question, q.answer) for q in asked)), asked


def _respell(scene: Scene, rng: np.random.Generator) -> Scene:
    """Put random letters on the signs, so that the model learns to spell and not to know the words."""
    letters = string.ascii_lowercase
    return replace(
        scene,
        objects=tuple(
            thing
            if thing.word is None
            else replace(thing, word="".join(letters[int(rng.integers(26))] for _ in thing.word))
            for thing in scene.objects
        ),
    )


def _locations(scene: Scene, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Questions for the places of two objects, as tenths of the image: column of the middle, row of the foot.

    Nobody asks such questions later. They teach the model to find what a question names. Without them its
    answers about relations stay at chance for long.
    """
    known = [thing for thing in scene.objects if is_unique(scene, thing)]
    told = [(thing.name, thing) for thing in (known[i] for i in rng.permutation(len(known))[:2])]
    shapes = [thing.shape for thing in scene.objects]
    told += [(thing.shape, thing) for thing in scene.objects if shapes.count(thing.shape) == 1][:2]
    return [
        (f"Where is the {name}?", f"{int(10 * (t.box[0] + t.box[2]) / 2)} {int(10 * t.box[3])}")
        for name, t in told
    ]


def _listing(scene: Scene, rng: np.random.Generator) -> list[tuple[str, str]]:
    """A list of all objects from left to right, and questions for the neighbor of an object.

    A caption needs both to name each object just once.
    """
    across = sorted(scene.objects, key=centre_u)
    exercises = [
        ("List all objects from left to right.", ", ".join(f"{t.size} {t.name}" for t in across) + ".")
    ]
    for position in rng.permutation(len(across))[:2]:
        thing = across[position]
        if is_unique(scene, thing):
            after = across[position + 1] if position + 1 < len(across) else None
            answer = f"{after.size} {after.name}" if after else "nothing"
            exercises.append((f"What comes next to the right of the {thing.name}?", answer))
    return exercises


def _description(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    kinds = list(_PROMPT_MIX)
    kind = kinds[int(rng.choice(len(kinds), p=list(_PROMPT_MIX.values())))]
    prompt = PROMPTS[kind][int(rng.integers(len(PROMPTS[kind])))]
    if kind == "text":
        signs = [
            f'The sign on the {t.name} says "{t.word}".'
            for t in scene.objects
            if t.word and is_unique(scene, t)
        ]
        return prompt, " ".join(signs) or "There is no text in the image."
    spatial, words = (1.0, 0.0) if kind == "spatial" else (0.4, 0.2)
    drafts = [detailed_caption(scene, rng, spatial=spatial, words=words) for _ in range(2)]
    return prompt, min(drafts, key=len) if kind == "brief" else max(drafts, key=len)
