"""The miniature world: rendered scenes with exact truth, for demonstrations, tests and experiments."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

from vila2.data.chance import generator
from vila2.sources.world.render import png, render
from vila2.sources.world.scene import SPLITS, Scene, WorldObject, sample_scene, sign_box
from vila2.sources.world.scene_captions import alt_text, detailed_caption
from vila2.sources.world.scene_questions import KINDS, SFT_MIX, SceneQuestion, questions, sample_questions
from vila2.sources.world.scores import SceneTally, caption_scores, caption_tallies, mention_faults
from vila2.sources.world.truth import check_caption

__all__ = [
    "KINDS", "PARTS", "SFT_MIX", "SPLITS", "AskedQuestion", "Scene", "SceneQuestion", "SceneTally",
    "WorldObject", "WorldSample", "alt_text", "caption_scores", "caption_tallies", "check_caption",
    "detailed_caption", "generator", "mention_faults", "questions", "render", "sample_questions",
    "sample_scene", "sign_box", "world_samples",
]  # fmt: skip

#: Folder of the small pretrained parts, ``vision`` and ``language``; their training is told in its README.md.
PARTS = Path(__file__).parent / "parts"


class AskedQuestion(TypedDict):
    """A question about a scene as it stands in JSON, see :class:`SceneQuestion`."""

    kind: str
    question: str
    answer: str


class WorldSample(TypedDict):
    """A scene with its texts.

    Attributes:
        key: key of the scene.
        image_bytes: rendered image, PNG.
        scene: truth as JSON values, see :meth:`Scene.to_json`.
        alt_text: short noisy text.
        detailed_caption: caption that is true.
        questions: questions that the scene answers.
    """

    key: str
    image_bytes: bytes
    scene: dict[str, Any]
    alt_text: str
    detailed_caption: str
    questions: list[AskedQuestion]


def world_samples(
    split: str, seed: int, count: int, start: int = 0, questions_per_scene: int = 12
) -> Iterator[WorldSample]:
    """Yields scenes of a split with their images, texts and questions.

    Args:
        split: one of ``SPLITS``; every split is a stream of its own.
        seed: seed of the stream.
        count: number of scenes.
        start: number of the first scene.
        questions_per_scene: most questions of a scene, their kinds drawn by ``SFT_MIX``; in the split "test",
            most questions of each kind, so that every kind can be measured. 0 saves the time to find them.
    """
    for index in range(start, start + count):
        scene = sample_scene(split, seed, index)
        rng = generator("text", scene.key)
        image = png(scene)
        short, long = alt_text(scene, rng), detailed_caption(scene, rng)
        asked: list[SceneQuestion]
        if not questions_per_scene:
            asked = []
        elif split == "test":
            asked = [one for kind in KINDS for one in questions(scene, rng, [kind])[:questions_per_scene]]
        else:
            asked = sample_questions(scene, rng, questions_per_scene)
        yield {
            "key": scene.key,
            "image_bytes": image,
            "scene": scene.to_json(),
            "alt_text": short,
            "detailed_caption": long,
            "questions": [{"kind": q.kind, "question": q.question, "answer": q.answer} for q in asked],
        }
