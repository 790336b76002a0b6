"""A training stage of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from vila2.recipe.parts.data import MixtureEntry
from vila2.recipe.parts.values import Count, NotDigested, Number, Part, Whole

#: The paper's Table 8 (A.5): the defaults of the stages that have these names. Also there, and the
#: defaults of every stage: cosine schedule, 3% warm-up, no weight decay, one epoch.
STAGE_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "align": {
        "train": ["projector"],
        "style": "plain",
        "learning_rate": 1e-3,
        "batch_size": 1024,
        "deepspeed": 2,
    },
    "pretrain": {
        "train": ["projector", "language"],
        "style": "plain",
        "learning_rate": 5e-5,
        "batch_size": 1024,
        "deepspeed": 3,
    },
    "sft": {
        "train": ["projector", "language", "vision"],
        "style": "chat",
        "learning_rate": 2e-5,
        "batch_size": 1024,
        "deepspeed": 3,
    },
}


class LoraSpec(Part):
    """Low-rank adapters on the language model, merged into it when the stage ends."""

    rank: Count = Field(default=64, description="of each adapter")
    alpha: Annotated[Number, Field(gt=0)] = Field(
        default=16, description="an adapter counts alpha / rank times"
    )
    dropout: Annotated[Number, Field(ge=0, lt=1)] = Field(default=0.0, description="on an adapter's input")
    quantize: Literal["nf4"] | None = Field(default=None, description="nf4: frozen weights in 4 bits (QLoRA)")


class StageSpec(Part):
    """What is trained, on which mixture, with which optimisation."""

    train: Annotated[
        tuple[Literal["projector", "language", "vision", "visual_expert"], ...], Field(min_length=1)
    ] = Field(description="the parts of the model that learn")
    mixture: Annotated[tuple[MixtureEntry, ...], Field(min_length=1)] = Field(
        description="the datasets it trains on, with their weights"
    )
    style: Literal["plain", "chat"] = Field(
        description="plain: image and text; chat: the model's chat template"
    )
    objective: Literal["text", "words"] = Field(
        default="text",
        description="text: predict it token by token; words: image tokens stand for its words, for few images",
    )
    learning_rate: Annotated[Number, Field(gt=0)] = Field(
        description="the highest, reached after the warm-up"
    )
    batch_size: Count = Field(description="samples in one optimiser step, over all devices")
    device_batch_size: Count | None = Field(
        default=None,
        description="samples at a time on one device; by default batch_size. Accumulation follows. "
        "With pack_length it is left out",
    )
    image_size: Count | None = Field(
        default=None, description="side of images or tiles in pixels, from this stage on"
    )
    epochs: Annotated[Number, Field(gt=0)] = Field(default=1.0, description="passes over the mixture")
    max_steps: Count | None = Field(default=None, description="optimiser steps, in place of epochs")
    warmup_ratio: Annotated[Number, Field(ge=0, lt=1)] = Field(
        default=0.03, description="share of steps that warm up"
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        default="cosine", description="after the warm-up"
    )
    weight_decay: Annotated[Number, Field(ge=0)] = Field(default=0.0, description="AdamW's")
    max_length: Count = Field(default=4096, description="tokens of one sample; the rest is cut")
    pack_length: Count | None = Field(
        default=None,
        description="samples share rows of at most so many tokens, one row at a time on a device. An optimiser "
        "step takes the rows that hold batch_size samples on average. By default samples are padded",
    )
    pack_images: Count | None = Field(
        default=None, description="images in one row at most; by default as many as its tokens allow"
    )
    gradient_checkpointing: bool = Field(default=False, description="less memory, about a third more time")
    lora: LoraSpec | None = Field(default=None, description="train adapters in place of the language model")
    deepspeed: Annotated[Whole, Field(ge=1, le=3)] | None = Field(
        default=None, description="ZeRO stage, where several processes train"
    )
    liger: bool = Field(default=False, description="liger-kernel's fused kernels, where there is a GPU")
    save_steps: Count | None = Field(default=None, description="optimiser steps between checkpoints")
    max_left_out: Annotated[Number, Field(ge=0, le=1), NotDigested] = Field(
        default=0.2,
        description="share of its samples that may be left out because they can not be trained on (no answer within "
        "max_length, an image that the processor refuses, ...); more is an error before the training",
    )


def with_stage_defaults(raw: Any) -> Any:
    """A raw recipe whose stages align, pretrain and sft have the paper's settings where they say nothing."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("stages"), Mapping):
        return raw
    stages = {
        name: {**STAGE_DEFAULTS.get(name, {}), **stage} if isinstance(stage, Mapping) else stage
        for name, stage in raw["stages"].items()
    }
    return {**raw, "stages": stages}
