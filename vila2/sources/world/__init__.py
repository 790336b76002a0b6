"""The miniature world: rendered scenes with exact truth, for demonstrations, tests and controlled experiments."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vila2.data.chance import generator
from vila2.sources.world.render import render
from vila2.sources.world.scene import SPLITS, Scene, WorldObject, sample_scene, sign_box
from vila2.sources.world.scene_captions import alt_text, detailed_caption
from vila2.sources.world.scene_questions import KINDS, SFT_MIX, SceneQuestion, questions, sample_questions
from vila2.sources.world.scores import SceneTally, caption_scores, caption_tallies
from vila2.sources.world.truth import check_caption

__all__ = [
    "KINDS", "PARTS", "SFT_MIX", "SPLITS", "SceneQuestion", "Scene", "SceneTally", "WorldObject", "alt_text", "caption_scores",
    "caption_tallies", "check_caption", "detailed_caption", "generator", "questions", "render", "sample_questions",
    "sample_scene", "sign_box", "world_samples",
]  # fmt: skip

#: The folder of the small pretrained parts, ``vision`` and ``language``; what they were taught is in its README.md.
PARTS = Path(__file__).parent / "parts"


def world_samples(split: str, seed: int, count: int, start: int = 0, questions_per_scene: int = 12
                  ) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Scenes of a split as plain values from which the data room makes samples.

    Args:
        split: one of ``SPLITS``; every split is a stream of its own.
        seed: which stream of the split.
        count: how many scenes; ``start``: number of the first one.
        questions_per_scene: for "test" at most as many of *each kind*, so that every kind can be measured;
            for the other splits in all, kinds drawn by ``SFT_MIX``. 0 saves the time of finding them.

    Yields:
        key, image_bytes (PNG), scene (JSON truth), alt_text, detailed_caption and questions, a list of
        dictionaries with kind, question and answer.
    """
    for index in range(start, start + count):
        scene = sample_scene(split, seed, index)
        rng = generator("text", scene.key)
        picture = io.BytesIO()
        render(scene).save(picture, format="PNG", compress_level=1)
        short, long = alt_text(scene, rng), detailed_caption(scene, rng)
        if not questions_per_scene:
            asked = []
        elif split == "test":
            asked = [one for kind in KINDS for one in questions(scene, rng, [kind])[:questions_per_scene]]
        else:
            asked = sample_questions(scene, rng, questions_per_scene)
        yield {
            "key": scene.key,
            "image_bytes": picture.getvalue(),
            "scene": scene.to_json(),
            "alt_text": short,
            "detailed_caption": long,
            "questions": [{"kind": q.kind, "question": q.question, "answer": q.answer} for q in asked],
        }
