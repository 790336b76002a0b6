"""The base recipe of the tables of VILA², which every row changes: the miniature, with its whole cycle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: The ``model`` of all studies, as a recipe says it.
MINIATURE = {
    "vision": "builtin:world/vision",
    "language": "builtin:world/language",
    "vision_feature_layer": -1,
}


@dataclass(frozen=True, slots=True)
class CycleSize:
    """The amounts of data that a row is trained and measured on.

    Attributes:
        pretrain: number of images with alt-text, which the cycle recaptions.
        scenes: number of scenes of SFT, each with three captions and eight questions.
        epochs: number of epochs of SFT.
        test: number of scenes that rows are measured on.
        apart: number of other scenes, which decide when the rounds stop.
        specialists: number of scenes that a specialist is trained on; None for as many as its own recipe
            says.
    """

    pretrain: int
    scenes: int
    epochs: int
    test: int
    apart: int
    specialists: int | None


def cycle_recipe(size: CycleSize, seed: int) -> dict[str, Any]:
    """Makes the base recipe as plain values: VILA_0 alone; rows add rounds and specialists."""
    return {
        "name": "vila2-tables",
        "seed": seed,
        "data": _data(size, seed),
        "model": MINIATURE,
        "stages": {
            "align": {"mixture": [{"dataset": "pretrain"}], "learning_rate": 2e-3, "batch_size": 16},
            # The style of SFT: what the model learns from conversations in another style is lost to SFT.
            "pretrain": {
                "mixture": [{"dataset": "pretrain"}],
                "style": "chat",
                "learning_rate": 1e-3,
                "batch_size": 8,
                "epochs": 2,
            },
            "sft": {
                "train": ["projector", "language"],
                "mixture": [{"dataset": "instructions"}],
                "learning_rate": 1e-3,
                "batch_size": 8,
                "epochs": size.epochs,
            },
        },
        "cycle": {"rounds": 0, "max_new_tokens": 120, "batch_size": 125},
        # Coordinates would be more than half of the tokens, and no question here asks for them. In a
        # dialogue, later answers can be read off earlier ones; a branch has only the image to look at.
        "merge": {"boxes": "drop", "view": "tree({layer})"},
        "evaluate": _benchmarks(),
    }


def specialists(size: CycleSize, seed: int, *names: str) -> dict[str, Any]:
    """Makes the recipe's ``specialists``: these plugins, with their own recipes but with these scenes.

    Args:
        size: size of the rows.
        seed: seed of the scenes.
        names: names of the plugins.
    """
    changes = {"data.options.seed": seed}
    if size.specialists:
        changes["data.options.count"] = size.specialists
    return {name: {"set": changes} for name in names}


def _data(size: CycleSize, seed: int) -> dict[str, Any]:
    def world(split: str, content: str, count: int, **more: Any) -> dict[str, Any]:
        options = {"split": split, "content": content, "count": count, "seed": seed, **more}
        return {"source": "world", "options": options}

    prompts = ["long-v1", "long-v2", "long-v3"]
    return {
        "pretrain": world("pretrain", "alt_text", size.pretrain),
        "instructions": world(
            "sft", "instructions", size.scenes, captions=3, questions=8, prompts=_texts(prompts)
        ),
        "test": world("test", "test", size.test, questions=1),
        # These scenes come after those of the test.
        "apart": world("test", "test", size.apart, questions=1, start=1_000_000),
    }


def _texts(prompts: list[str]) -> list[str]:
    from vila2.caption.prompts import PROMPTS

    return [PROMPTS[name] for name in prompts]


def captions_benchmark(**changes: Any) -> dict[str, Any]:
    """Makes the benchmark of captions, by default decoded greedily, with some settings changed.

    Args:
        changes: settings of the benchmark.
    """
    return {
        "name": "captions",
        "kind": "captions",
        "dataset": "test",
        "prompt": "Describe the image in details.",
        "max_new_tokens": 120,
        "batch_size": 125,
        **changes,
    }


def _benchmarks() -> list[dict[str, Any]]:
    briefly = {"max_new_tokens": 6, "batch_size": 125}
    questions = {"kind": "questions", **briefly}
    return [
        captions_benchmark(),
        {"name": "questions", "dataset": "test", **questions},
        {"name": "pope", "kind": "pope", "dataset": "test", "prompt": "Is there {object}?", **briefly},
        {"name": "apart", "dataset": "apart", **questions, "rounds_only": True},
    ]
