"""Checks, before any work, that a stage can be trained on this machine as asked."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from vila2.errors import TrainingError

if TYPE_CHECKING:
    from vila2.recipe.parts.stage import LoraSpec, StageSpec


def check_stage(stage: StageSpec, processes: int) -> None:
    """Checks that what a stage needs is there.

    Args:
        stage: stage to train.
        processes: number of processes that train it together.

    Raises:
        TrainingError: adapters on what is not trained, or a package that is missing.
    """
    if stage.lora:
        _check_lora(stage, stage.lora)
    if stage.objective == "words" and (processes > 1 or stage.pack_length):
        raise TrainingError(
            "objective: words trains on one process, without packs",
            hint="say processes: 1 in the recipe and no pack_length in the stage",
        )
    if stage.objective == "preference":
        _check_preference(stage, processes)
    if stage.deepspeed and processes > 1 and importlib.util.find_spec("deepspeed") is None:
        raise TrainingError(
            f"deepspeed: {stage.deepspeed} on {processes} processes needs the deepspeed package",
            hint="pip install deepspeed, or say deepspeed: null in the stage",
        )
    if stage.deepspeed == 3 and processes > 1 and stage.lora and stage.lora.quantize:
        raise TrainingError(
            f"quantize: {stage.lora.quantize} and deepspeed: 3 exclude each other: weights in 4 bits "
            "cannot be sharded",
            hint="say deepspeed: 2 or deepspeed: null in the stage",
        )


def _check_preference(stage: StageSpec, processes: int) -> None:
    if stage.pack_length or stage.liger:
        key = "pack_length" if stage.pack_length else "liger"
        raise TrainingError(
            f"objective: preference compares answers in padded batches, without {key}",
            hint=f"leave {key} out of the stage",
        )
    if stage.deepspeed == 3 and processes > 1:
        raise TrainingError(
            "objective: preference reads the whole model before it trains, which deepspeed: 3 shards",
            hint="say deepspeed: 2 or deepspeed: null in the stage",
        )


def _check_lora(stage: StageSpec, lora: LoraSpec) -> None:
    if "language" not in stage.train:
        raise TrainingError(
            "lora adapts the language model, which the stage does not train", hint="train: [language]"
        )
    for part in ("vision", "visual_expert"):
        if part in stage.train:
            raise TrainingError(
                f"lora adapts the language model; {part} would be trained in full beside it",
                hint=f"leave {part} out of the stage's train",
            )
    if lora.quantize and importlib.util.find_spec("bitsandbytes") is None:
        raise TrainingError(f"quantize: {lora.quantize} needs bitsandbytes", hint="pip install bitsandbytes")
