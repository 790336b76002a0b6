"""Source `world`: pairs, documents, instructions and tests from the miniature world, with exact truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vila2.data.sample import ImagePart, Sample, Turn, assistant, user
from vila2.errors import DataError
from vila2.sources.world import Scene, WorldSample, detailed_caption, generator, world_samples
from vila2.sources.world.documents import document_samples, in_context_samples
from vila2.sources.world.scene_evidence import scene_evidence
from vila2.sources.world.text_only import text_instructions, text_test

#: Contents with one sample for each scene, and all contents.
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
    """Makes samples of the miniature world's scenes.

    Samples of a single scene have its truth in ``meta["scene"]`` and ``meta["evidence"]``.

    Args:
        path: unused, since the world is made and not read.
        split: stream of scenes: "pretrain", "sft", "specialist" or "test".
        count: number of scenes, documents or tasks.
        content: "alt_text" pairs each image with short noisy text, as on the web; "instructions" gives
            detailed captions and questions in branches; "test" gives the detailed caption, and questions in
            ``meta["questions"]``; "documents" are several images with sentences in order; "in_context" are
            documents without their last sentence; "text_instructions" and "text_test" have no images.
        seed: seed of the stream.
        start: number of the first scene, document or task, from 0.
        questions: most questions about a scene; in the split "test", most questions of each kind.
        captions: number of detailed captions of a scene for "instructions", in different words.
        prompts: prompts for detailed captions; one is drawn for each caption.
        order: order of "documents": "interleaved", "pairs" or "reordered", as in source `mmc4`.
        shots: number of examples for "in_context".

    Raises:
        DataError: the content or the order is unknown.
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
        evidence = scene_evidence(Scene.from_json(row["scene"]))
        meta = {"scene": row["scene"], "domain": "miniature", **evidence.to_meta()}
        if content == "test":
            meta["questions"] = row["questions"]
        yield Sample(row["key"], (row["image_bytes"],), tuple(_turns(row, content, captions, prompts)), meta)


def _turns(row: WorldSample, content: str, captions: int, prompts: Sequence[str]) -> list[Turn]:
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
