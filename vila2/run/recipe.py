"""The recipe: what a whole run is made of, as one frozen value that every command reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from vila2.run.recipe_cycle import CycleSpec
from vila2.run.recipe_values import Count, Name, Number, Part, Text, Whole

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


def _dense_or_rank(value: Any) -> Any:
    if value != "dense" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise PydanticCustomError("dense_or_rank", "should be dense, or a rank of at least 1")
    return value


class DatasetSpec(Part):
    """Where a dataset comes from."""

    source: Text = Field(
        description="a source such as llava, folder, img2dataset or world; `shards`: a dataset folder"
    )
    path: Text | None = Field(default=None, description="the source's file or folder")
    options: dict[str, Any] = Field(default_factory=dict, description="what else the source is told")
    layers: dict[Name, Text] = Field(
        default_factory=dict, description="layers written before this run: a layer's folder, by its name"
    )


class ModelSpec(Part):
    """What the run starts from: a vision tower and a language model, or an existing VLM."""

    vision: Text | None = Field(default=None, description="hub id, folder or builtin: of a vision tower")
    language: Text | None = Field(
        default=None, description="hub id, folder, GGUF file or builtin: of a causal LM"
    )
    pretrained: Text | None = Field(
        default=None, description="hub id or folder of a VLM, in place of the two parts"
    )
    gguf_file: Text | None = Field(default=None, description="the GGUF file to take from `language`")
    projector: Literal[
        "linear",
        "mlp2x_gelu",
        "mlp_downsample",
        "mlp_downsample_2x2_fix",
        "mlp_downsample_3x3_fix",
        "transformer",
    ] = Field(
        default="mlp_downsample",
        description="mlp_downsample: 2x2 patches side by side, normed, two linear layers",
    )
    vision_feature_layer: Whole = Field(default=-2, description="the vision tower's layer that is looked at")
    max_tiles: Count = Field(default=1, description="tiles that a large image is cut into at most; 1: never")
    s2_scales: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        default=(1,), description="S2: resolutions whose features are joined, as in [1, 2, 3]"
    )
    visual_expert: Annotated[int | str, BeforeValidator(_dense_or_rank)] | None = Field(
        default=None, description="weights that only image tokens use: their rank, or dense"
    )
    chat_template: Text | None = Field(
        default=None, description="name or text, where the language model has none"
    )
    coordinates: Literal["text", "tokens"] | None = Field(
        default=None,
        description="how boxes are written: [0.125,...] or location tokens; by default as the model has it, else text",
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(default="float32", description="of the weights")


class MixtureEntry(Part):
    """One dataset of a mixture."""

    dataset: Text = Field(description="a name under `data`")
    view: Text = Field(default="only(original)", description="how its layers become conversations")
    weight: Annotated[Number, Field(gt=0)] = Field(default=1.0, description="passes over it in one epoch")
    count: Count | None = Field(
        default=None, description="samples at most, by hash of their keys; in place of `weight`"
    )
    select: Annotated[tuple[Number, ...], Field(min_length=2, max_length=2)] = Field(
        default=(0.0, 1.0),
        description="[from, to] within 0 to 1, by hash of keys: ranges apart share no sample",
    )


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
    max_left_out: Annotated[Number, Field(ge=0, le=1)] = Field(
        default=0.2,
        description="share of its samples that may be left out because they can not be trained on (no answer within "
        "max_length, an image that the processor refuses, ...); more is an error before the training",
    )

    def of_the_model(self) -> dict[str, Any]:
        """The settings that the trained model is a function of; JSON-able."""
        return self.model_dump(mode="json", exclude={"max_left_out"})


class SpecialistUse(Part):
    """A specialist of this run (paper section 2.2): its plugin's recipe, and what is different here."""

    recipe: Text | None = Field(
        default=None, description="file, or one in the package; by default the plugin's"
    )
    data: DatasetSpec | None = Field(
        default=None,
        description="what to build from, with source `path` a file or folder as it lies; by default as its recipe says, "
        "else the run's own images",
    )
    set: dict[Text, Any] = Field(
        default_factory=dict,
        description="other settings of its recipe or builder, as in {stages.tune.epochs: 2}",
    )
    select: Annotated[tuple[Number, ...], Field(min_length=2, max_length=2)] = Field(
        default=(0.0, 1.0),
        description="[from, to] within 0 to 1 of the recaptioned images, which it annotates",
    )
    made: Text | None = Field(
        default=None, description="folder of a specialist made before, of this model or a smaller one (A.4.2)"
    )


class MergeSpec(Part):
    """Verify and merge: all layers of an image as one conversation (VILA² section 2.2.2)."""

    arm: Literal["append", "verified", "unchecked"] = Field(
        default="verified",
        description="append: the paper's, the original caption and the specialists' answers as they were said; verified: the "
        "best round's caption as well, and what the evidence refutes is left out; unchecked: the same, nothing left out",
    )
    base: Name | None = Field(default=None, description="the self layer that joins the original caption")
    caption: Literal["both", "original", "base"] = Field(
        default="both",
        description="what the conversation begins with; the other stands in where one says nothing",
    )
    original: Literal["keep", "verify"] = Field(
        default="keep", description="the human text: keep it as it is, or judge its sentences like the rest"
    )
    boxes: Literal["keep", "drop"] = Field(
        default="keep",
        description="coordinates in what specialists say. drop: a description is a caption without them, and an answer "
        "that is nothing else is left out; they are most of a conversation's tokens, and only who is to ground needs them",
    )
    unverified: Literal["keep", "drop"] = Field(
        default="keep", description="sentences of a caption that no evidence decides"
    )
    absence: tuple[Literal["objects", "texts", "repeats"], ...] = Field(
        default=("texts", "repeats"),
        description="what is refuted because a specialist looked for such and did not find it. objects: a thing of whose name "
        "there is no box, and a number above that of its boxes, where there is one; texts: writing that nobody read; repeats: "
        "a thing that one answer introduces (a cat and a cat) more often than it has boxes, where there is one, while a number "
        "(three cats) is left to `objects`. With `objects` it must find more of what there is than captions make up, or it is "
        "true sentences that go",
    )
    budget: Count | None = Field(
        default=None, description="words of a conversation at most; the original caption always stays"
    )
    tokenizer: Text | None = Field(
        default=None, description="hub id or folder: the budget counts its tokens in place of words"
    )
    writer: Literal["rules", "model"] = Field(
        default="rules",
        description="model: an engine writes one paragraph of it all, which the paper found to hallucinate (A.2)",
    )
    model: Text | None = Field(
        default=None, description="hub id or folder of the writer; by default the best round's model"
    )
    view: Text = Field(
        default="dialogue({layer})",
        description="how the merged {layer} is trained on: a dialogue, or a tree({layer}), in which no answer can be read off "
        "an earlier one (for models that can keep branches apart)",
    )
    engine: Text = Field(default="transformers", description="what writes, where a model does")
    max_new_tokens: Count = Field(default=256, description="of one paragraph")
    batch_size: Count = Field(default=16, description="paragraphs at a time")


class BenchmarkSpec(Part):
    """One thing that every VILA_i is measured by."""

    name: Name = Field(description="in the report")
    kind: Name = Field(
        description="captions (describe each image), questions (answer its questions), pope (is there a ...?), relations "
        "(true or false of two things), consistency (describe it again), image_text (own image or another), choices (the "
        "likeliest of given texts), alignment (states of image and text tokens), or what a plugin brings"
    )
    dataset: Text = Field(description="a name under `data`")
    prompt: Text | None = Field(default=None, description="what is asked; {question} stands for the question")
    max_new_tokens: Count = Field(default=128, description="of one answer")
    repetition_penalty: Annotated[Number, Field(gt=0)] = Field(default=1.0, description="1: none")
    batch_size: Count = Field(default=16, description="requests at a time")
    limit: Count | None = Field(default=None, description="samples at most")
    seed: Annotated[Whole, Field(ge=0)] = Field(
        default=0,
        description="of questions that are made and of sampling; not the run's, so that runs can be compared",
    )
    repeats: Annotated[Whole, Field(ge=2)] = Field(
        default=4, description="of consistency: captions of one image"
    )
    temperature: Annotated[Number, Field(gt=0)] = Field(default=0.7, description="of consistency")
    scorer: Text | None = Field(
        default=None,
        description="of image_text: folder of a CLIP or SigLIP; by default the model's own likelihood",
    )
    rounds_only: bool = Field(
        default=False,
        description="it only decides when to stop: measured of VILA_0, VILA_1, ... alone, and only where "
        "cycle.saturation names it",
    )


class ReportSpec(Part):
    """What the report shows."""

    title: Text | None = Field(default=None, description="by default the run's name")
    examples: Annotated[Whole, Field(ge=0)] = Field(
        default=12, description="images shown with every round's caption"
    )
    notes: tuple[Text, ...] = Field(default=(), description="what a reader must know about the figures")


class Recipe(Part):
    """A whole run."""

    name: Name = Field(description="of the run")
    seed: Annotated[Whole, Field(ge=0)] = Field(default=0, description="of everything random in the run")
    output: Text = Field(
        default="runs/{name}", description="the run's folder, from where the command is given"
    )
    threads: Count | None = Field(default=None, description="CPU threads; by default torch's choice")
    processes: Literal["auto"] | Count = Field(
        default="auto", description="that train together on this machine; auto: one for each GPU"
    )
    data: Annotated[dict[Name, DatasetSpec], Field(min_length=1)] = Field(description="the datasets, by name")
    model: ModelSpec = Field(description="what the run starts from")
    stages: Annotated[dict[Name, StageSpec], Field(min_length=1)] = Field(
        description="in the order of training"
    )
    cycle: CycleSpec = Field(default_factory=CycleSpec, description="the rounds")
    specialists: dict[Name, SpecialistUse] = Field(
        default_factory=dict, description="made from the best round; plugins by name"
    )
    merge: MergeSpec = Field(default_factory=MergeSpec, description="of what the specialists say")
    specialist_data: Literal["merged", "share", "sft", "more-sft"] = Field(
        default="merged",
        description="merged: what specialists say about the images is merged into their captions; share: a twentieth "
        "of the images that each would annotate stands there once more, with what it says (paper, Table 3); sft: what they were trained on "
        "goes straight into SFT, beside the best round's captions, as much of it as takes the tokens that the merged "
        "captions would have taken (a control); more-sft: SFT goes on for as many tokens, with nothing new (a control)",
    )
    controls: tuple[Text, ...] = Field(
        default=(),
        description="what else could explain the gain: twice-sft, shuffled-captions, ...; all in docs/controls.md",
    )
    evaluate: tuple[BenchmarkSpec, ...] = Field(default=(), description="the benchmarks")
    keep: Literal["all", "models", "best"] = Field(
        default="all",
        description="which models stay on disk; the others are deleted after the rounds and at the end, as soon as nothing "
        "starts from them any more (their results stay, and a later run that needs one does its step again). models: "
        "those of VILA_0, VILA_1, ..., controls and specialists, without the stages before the last; best: the one that "
        "the run was done for, the best round's and the specialists'",
    )
    plugins: tuple[Text, ...] = Field(default=(), description="plugins that are told of every trained stage")
    report: ReportSpec = Field(default_factory=ReportSpec, description="the page at the end")

    @model_validator(mode="before")
    @classmethod
    def _give_stage_defaults(cls, raw: Any) -> Any:
        return with_stage_defaults(raw)

    @model_validator(mode="after")
    def _check_across(self) -> Recipe:
        from vila2.run.recipe_checks import cross_problems

        problems = cross_problems(self.model_dump())
        if problems:
            lines = "; ".join(f"{'.'.join(map(str, p.where))}: {p.what}" for p in problems)
            raise PydanticCustomError("across", "{lines}", {"lines": lines})
        return self

    @property
    def folder(self) -> str:
        """``output`` with the name filled in."""
        return self.output.replace("{name}", self.name)

    @property
    def data_in_use(self) -> dict[str, DatasetSpec]:
        """The datasets that a stage or a benchmark names; of the others nothing is opened."""
        used = {entry.dataset for stage in self.stages.values() for entry in stage.mixture}
        used |= {benchmark.dataset for benchmark in self.evaluate} | {self.recaptioned, self.cycle.captions}
        return {name: spec for name, spec in self.data.items() if name in used}

    @property
    def recaptioned(self) -> str:
        """The name of the dataset whose captions are rewritten."""
        stage = self.stages.get(self.cycle.stage) or next(iter(self.stages.values()))
        return self.cycle.recaption or stage.mixture[0].dataset


def with_stage_defaults(raw: Any) -> Any:
    """A raw recipe whose stages align, pretrain and sft have the paper's settings where they say nothing."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("stages"), Mapping):
        return raw
    stages = {
        name: {**STAGE_DEFAULTS.get(name, {}), **stage} if isinstance(stage, Mapping) else stage
        for name, stage in raw["stages"].items()
    }
    return {**raw, "stages": stages}
