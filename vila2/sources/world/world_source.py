"""The miniature world as a source of samples: pairs, documents, instructions, and tests with exact truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vila2.data.sample import ImagePart, Sample, Turn, assistant, user
from vila2.errors import DataError
from vila2.sources.world import Scene, detailed_caption, generator, world_samples
from vila2.sources.world.documents import document_samples, in_context_samples
from vila2.sources.world.scene_evidence import scene_evidence
from vila2.sources.world.text_only import text_instructions, text_test

#: One sample for each scene, with its truth, and those made of several scenes or of none's image.
SCENES = ("alt_text", "instructions", "test")
CONTENTS = (*SCENES, "documents", "in_context", "text_instructions", "text_test")


def read(
    path: Path | None = None,
    *,
    split: str,
    count: int,
    content: str = "alt_text",
    seed: int = 0,
    start: int = 0,
    questions: int = 12,
    captions: int = 1,
    prompts: Sequence[str] = ("Describe the image in details.",),
    order: str = "interleaved",
    shots: int = 4,
) -> Iterator[Sample]:
    """Scenes of one split as samples; where a sample is one scene, its truth is in ``meta``: ``scene``, ``evidence``.

    Args:
        path: unused, the world is made, not read.
        split: which stream of scenes ("pretrain", "sft", "specialist", "test").
        count, start, seed: which scenes of the stream.
        content: "alt_text" pairs each image with short noisy text, as the web does; "instructions" gives
            a detailed caption and questions, as isolated exchanges about one image; "test" carries the
            detailed caption and, in ``meta["questions"]``, what to ask; "documents" are several images with
            sentences in order, "in_context" such documents without their last sentence; "text_instructions" and
            "text_test" have no images.
        questions: per scene, at the most (of each kind, in a test split).
        captions: detailed captions per scene of "instructions", each in other words.
        prompts: one of them, drawn anew, asks for each detailed caption.
        order: of "documents": interleaved, pairs or reordered.
        shots: examples of "in_context".

    Raises:
        DataError: unknown content.
    """
    if content not in CONTENTS:
        raise DataError(f"the world has no content {content!r}", hint=f"use one of {', '.join(CONTENTS)}")
    if content not in SCENES:
        yield from {
            "documents": lambda: document_samples(split, seed, count, start, order),
            "in_context": lambda: in_context_samples(split, seed, count, start, shots),
            "text_instructions": lambda: text_instructions(split, seed, count, start, questions),
            "text_test": lambda: text_test(split, seed, count, start),
        }[content]()
        return
    asked = 0 if content == "alt_text" else questions
    for row in world_samples(split, seed, count, start, asked):
        meta = {"scene": row["scene"], "domain": "miniature"} | scene_evidence(
            Scene.from_json(row["scene"])
        ).to_meta()
        if content == "test":
            meta["questions"] = row["questions"]
        yield Sample(row["key"], (row["image_bytes"],), tuple(_turns(row, content, captions, prompts)), meta)


def _turns(row: dict[str, Any], content: str, captions: int, prompts: Sequence[str]) -> list[Turn]:
    if content == "alt_text":
        return [user(ImagePart()), assistant(row["alt_text"])]
    if content == "test":
        return [user(ImagePart()), assistant(row["detailed_caption"])]
    scene, rng = Scene.from_json(row["scene"]), generator("instructions", row["key"])
    exchanges = [
        (prompts[int(rng.integers(len(prompts)))], detailed_caption(scene, rng)) for _ in range(captions)
    ]
    exchanges += [(asked["question"], asked["answer"]) for asked in row["questions"]]
    turns = [user(ImagePart())]
    for branch, (question, answer) in enumerate(exchanges, start=1):
        turns += [user(question, branch=branch), assistant(answer, branch=branch)]
    return turns
