"""A training stage of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from vila2.recipe.parts.data import MixtureEntry
from vila2.recipe.parts.values import Count, Later, NotDigested, Number, Part, Whole

#: Defaults of the stages that have these names, from the paper's Table 8 (A.5). The defaults of every stage
#: are from there too: cosine schedule, 3% warmup, no weight decay, one epoch.
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
    """Low-rank adapters on the language model; the stage merges them into it at its end."""

    rank: Count = Field(default=64, description="Rank of each adapter")
    alpha: Annotated[Number, Field(gt=0)] = Field(
        default=16, description="Scale of the adapters: each is multiplied by alpha / rank"
    )
    dropout: Annotated[Number, Field(ge=0, lt=1)] = Field(
        default=0.0, description="Dropout rate at the input of each adapter"
    )
    quantize: Literal["nf4"] | None = Field(
        default=None, description="Quantization of the frozen weights; `nf4` is 4 bits (QLoRA)"
    )


class PairLossSpec(Part):
    """The loss of pairs of answers (DPO, arXiv 2305.18290), and of the texts beside them.

    -log sigmoid(beta * (log p(better) / p0(better) - log p(worse) / p0(worse))); p0 is the model
    that the stage starts from.
    """

    beta: Annotated[Number, Field(gt=0)] = Field(
        default=0.1, description="How soon a pair counts as learned: larger stays nearer to the start"
    )
    per_token: bool = Field(
        default=False,
        description="Divide the log-likelihood of each answer by its number of tokens, so that length does "
        "not count; use a beta about as many times as large as an answer has tokens",
    )
    better: Annotated[Number, Field(ge=0)] = Field(
        default=0.0,
        description="Weight of the better answer's own loss (nats per token), which keeps it from becoming "
        "less likely together with the worse one",
    )
    text: Annotated[Number, Field(ge=0)] = Field(
        default=1.0, description="Weight of the loss (nats per token) of a sample that is not a pair"
    )


class StageSpec(Part):
    """What is trained, on which mixture, with which optimization."""

    train: Annotated[
        tuple[Literal["projector", "language", "vision", "visual_expert"], ...], Field(min_length=1)
    ] = Field(description="Parts of the model that learn")
    mixture: Annotated[tuple[MixtureEntry, ...], Field(min_length=1)] = Field(
        description="Datasets to train on, with the amount of each"
    )
    style: Literal["plain", "chat"] = Field(
        description="Form of the training texts. `plain`: the image, then the text. `chat`: the model's chat "
        "template"
    )
    objective: Literal["text", "words", "preference"] = Field(
        default="text",
        description="Objective of the training. `text`: predict the text token by token. `words`: make the "
        "image tokens stand for the words of the text, without the language model; it aligns a projector "
        "with few images. `preference`: prefer the better of two answers (DPO) in entries with the view "
        "`pairs`; other entries are trained on as text beside them, so that nothing is forgotten",
    )
    preference: Annotated[PairLossSpec, Later] = Field(
        default_factory=lambda: PairLossSpec(), description="Loss of `objective: preference`"
    )
    learning_rate: Annotated[Number, Field(gt=0)] = Field(
        description="Highest learning rate, reached at the end of the warmup"
    )
    batch_size: Count = Field(description="Number of samples in one optimizer step, over all devices")
    device_batch_size: Count | None = Field(
        default=None,
        description="Number of samples at a time on one device; by default `batch_size`. It must divide "
        "`batch_size`; gradients are accumulated over the rest. Leave it out with `pack_length`",
    )
    image_size: Count | None = Field(
        default=None,
        description="Side of the images or tiles in pixels, from this stage on; by default as before",
        examples=[448],
    )
    epochs: Annotated[Number, Field(gt=0)] = Field(
        default=1.0, description="Number of passes over the mixture"
    )
    max_steps: Count | None = Field(default=None, description="Number of optimizer steps; replaces `epochs`")
    warmup_ratio: Annotated[Number, Field(ge=0, lt=1)] = Field(
        default=0.03, description="Share of the steps in which the learning rate warms up"
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        default="cosine", description="Schedule of the learning rate after the warmup"
    )
    weight_decay: Annotated[Number, Field(ge=0)] = Field(default=0.0, description="Weight decay of AdamW")
    max_length: Count = Field(
        default=4096, description="Number of tokens of one sample at most; longer ones are cut"
    )
    pack_length: Count | None = Field(
        default=None,
        description="Number of tokens of a row that several samples share, at most. A device trains on one "
        "row at a time, and an optimizer step on the rows that hold `batch_size` samples on average. By "
        "default samples are not packed but padded",
        examples=[4096],
    )
    pack_images: Count | None = Field(
        default=None, description="Number of images in one packed row at most; by default no limit"
    )
    gradient_checkpointing: bool = Field(
        default=False, description="Compute activations twice: less memory, about a third more time"
    )
    lora: LoraSpec | None = Field(
        default=None,
        description="Adapters to train instead of the language model's own weights; by default none",
    )
    deepspeed: Annotated[Whole, Field(ge=1, le=3)] | None = Field(
        default=None,
        description="ZeRO stage of DeepSpeed, when several processes train; null: without DeepSpeed",
    )
    liger: bool = Field(default=False, description="Use the fused kernels of liger-kernel on a GPU")
    save_steps: Count | None = Field(
        default=None, description="Number of optimizer steps between two checkpoints"
    )
    max_left_out: Annotated[Number, Field(ge=0, le=1), NotDigested] = Field(
        default=0.2,
        description="Share of the samples that may be left out because they cannot be trained on (no answer "
        "within `max_length`, an image that the processor refuses, ...). A larger share is an error before "
        "the training",
    )
    process_timeout: Annotated[Number, Field(gt=0), NotDigested] = Field(
        default=300,
        description="Number of seconds without a sign of life of a process, where several train, after which "
        "the stage ends and names it. Processes that answer but do not move get six times as long",
    )


def with_stage_defaults(raw: Any) -> Any:
    """A raw recipe in which the stages align, pretrain and sft have the paper's settings as defaults."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("stages"), Mapping):
        return raw
    stages = {
        name: {**STAGE_DEFAULTS.get(name, {}), **stage} if isinstance(stage, Mapping) else stage
        for name, stage in raw["stages"].items()
    }
    return {**raw, "stages": stages}
