"""Defaults for training a specialist; they depend on the generalist. No other module decides them.

A stage that sets neither ``train`` nor ``learning_rate`` nor ``lora`` is trained to suit the generalist:

    the shipped miniature    as the recipe's ``miniature`` says, else as SFT in the paper's Table 8
    any other VLM            LoRA on its language model and the projector, at the paper's rate

A stage that sets one of these keys has the defaults of SFT in the paper's Table 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import Any

from vila2.recipe.parts.stage import STAGE_DEFAULTS, StageSpec

#: Key of a specialist's recipe that holds the changes for the miniature.
MINIATURE = "miniature"
#: Keys that decide a stage's training; a stage without any of them is trained to suit the generalist.
DECIDING = ("train", "learning_rate", "lora")

#: Adapters of rank 64 as in VILA's Table 9. The rate is that of a specialist's own stage (stage 4) in VILA²'s
#: Table 8, because adapters take a higher rate than full weights. The paper's batch of 1024 suits millions of
#: samples; with a few thousand it would make two or three steps.
ADAPTERS: Mapping[str, Any] = {
    "train": ["projector", "language"],
    "style": "chat",
    "learning_rate": 1e-4,
    "lora": {"rank": 64, "alpha": 128},
    "batch_size": 64,
    "gradient_checkpointing": True,
}
#: The same without adapters (``lora: null``), at the rate of SFT in Table 8.
IN_FULL: Mapping[str, Any] = {**ADAPTERS, "learning_rate": 2e-5, "lora": None, "deepspeed": 3}
_AT_A_TIME = 4  # samples on one device


def is_left_to_the_generalist(stage: Mapping[str, Any], *, miniature: bool) -> bool:
    """Whether a stage, as its recipe gives it, is trained to suit the generalist."""
    return not miniature and not any(key in stage for key in DECIDING)


def defaults_of(stage: Mapping[str, Any], *, left: bool) -> Mapping[str, Any]:
    """The settings that a stage has by default.

    Args:
        stage: settings that the recipe gives.
        left: whether the stage is trained to suit the generalist.
    """
    if not left:
        return STAGE_DEFAULTS["sft"]
    defaults = dict(IN_FULL if stage.get("lora", ADAPTERS) is None else ADAPTERS)
    batch = stage.get("batch_size", defaults["batch_size"])
    if isinstance(batch, int) and batch > 0 and not stage.get("pack_length"):
        defaults["device_batch_size"] = gcd(batch, _AT_A_TIME)
    return defaults


def reason(stage: StageSpec, *, left: bool, miniature: bool, parameters: int, recipe: str) -> str:
    """The reason for a stage's settings, for a reader.

    Example: "LoRA r=64, 1e-4, because the model has 2.1B parameters and is not the miniature".
    """
    how = f"LoRA r={stage.lora.rank}" if stage.lora else f"{' and '.join(stage.train)} in full"
    what = f"{how}, {rate_in_words(stage.learning_rate)}"
    if left:
        return (
            f"{what}, because the model has {count_in_words(parameters)} parameters and is not the miniature"
        )
    if miniature:
        return f"{what}, as {recipe} says for the miniature"
    return f"{what}, as {recipe} says"


def rate_in_words(rate: float) -> str:
    """A learning rate in the form that recipes use: 2e-5, 1.5e-3."""
    digits, _, power = f"{rate:.3e}".partition("e")
    return f"{float(digits):g}e{int(power)}"


def count_in_words(count: int) -> str:
    """A number of parameters in short form: 2.1B, 135M, 40K."""
    for size, letter in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K")):
        if count >= size:
            shown = f"{count / size:.1f}" if count < 10 * size else f"{count / size:.0f}"
            return shown.removesuffix(".0") + letter
    return str(count)
