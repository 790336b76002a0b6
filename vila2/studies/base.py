"""The base recipe that every arm of VILA's studies changes: the miniature, pretrained on documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vila2.studies.cycle_base import MINIATURE, CycleSize


@dataclass(frozen=True, slots=True)
class Size:
    """The amounts of data that an arm is trained and measured on.

    Attributes:
        name: name of the size.
        pairs: number of pairs of image and alt-text that the projector is aligned on.
        documents: number of documents, of three to five images each; there are four times as many pairs of
            the web to compare them with, which is about as many images.
        scenes: number of scenes of SFT, each with a caption and questions.
        epochs: number of epochs of SFT.
        text: number of scenes told in words, with questions, for joint SFT.
        test: number of scenes that questions are asked about.
        tasks: number of tasks for in-context learning.
        told: number of questions of the text-only test.
        aligned: number of images whose hidden states are compared, layer by layer.
        cycle: size of arms that are whole cycles.
    """

    name: str
    pairs: int
    documents: int
    scenes: int
    epochs: int
    text: int
    test: int
    tasks: int
    told: int
    aligned: int
    cycle: CycleSize


QUICK = Size("quick", 320, 320, 160, 2, 80, 120, 180, 150, 40, CycleSize(480, 160, 3, 120, 60, 200))
FULL = Size("full", 3000, 3000, 1200, 4, 600, 500, 600, 500, 100, CycleSize(2000, 75, 14, 500, 1000, None))
_QUESTIONS = 6


def base_recipe(size: Size, seed: int) -> dict[str, Any]:
    """Makes the base recipe as plain values, ready for :func:`vila2.recipe.changed.changed`."""
    # Batches are small: what this model learns in a minute or two depends on the number of its steps.
    return {
        "name": f"studies-{size.name}",
        "seed": seed,
        "data": _data(size, seed),
        "model": MINIATURE,
        "stages": {
            "align": {"mixture": [{"dataset": "pairs"}], "learning_rate": 2e-3, "batch_size": 16},
            "pretrain": {"mixture": [{"dataset": "documents"}], "learning_rate": 1e-3, "batch_size": 4},
            "sft": {
                "train": ["projector", "language"],
                "mixture": [{"dataset": "instructions"}],
                "learning_rate": 1e-3,
                "batch_size": 4,
                "epochs": size.epochs,
            },
        },
        "cycle": {"rounds": 0},
        "evaluate": _benchmarks(size),
    }


def _data(size: Size, seed: int) -> dict[str, Any]:
    def world(split: str, content: str, count: int, **more: Any) -> dict[str, Any]:
        options = {"split": split, "content": content, "count": count, "seed": seed, **more}
        return {"source": "world", "options": options}

    def documents(**more: Any) -> dict[str, Any]:
        return world("pretrain", "documents", size.documents, **more)

    return {
        "pairs": world("pretrain", "alt_text", size.pairs),
        "documents": documents(),
        "document-pairs": documents(order="pairs"),
        "documents-reordered": documents(order="reordered"),
        # These scenes come after those of the documents, so that nothing is seen twice.
        "web-pairs": world("pretrain", "alt_text", 4 * size.documents, start=1_000_000),
        "instructions": world("sft", "instructions", size.scenes, questions=_QUESTIONS),
        "text": world("sft", "text_instructions", size.text, start=1_000_000, questions=_QUESTIONS),
        "test": world("test", "test", size.test, questions=1),
        "examples-0": world("test", "in_context", size.tasks, shots=0),
        "examples-4": world("test", "in_context", size.tasks, shots=4),
        "told": world("test", "text_test", size.told),
    }


def _benchmarks(size: Size) -> list[dict[str, Any]]:
    return [
        {"name": "questions", "kind": "questions", "dataset": "test", "max_new_tokens": 6, "batch_size": 60},
        {"name": "0-shot", "kind": "choices", "dataset": "examples-0"},
        {"name": "4-shot", "kind": "choices", "dataset": "examples-4"},
        {"name": "text", "kind": "choices", "dataset": "told"},
        {"name": "alignment", "kind": "alignment", "dataset": "test", "limit": size.aligned},
    ]
