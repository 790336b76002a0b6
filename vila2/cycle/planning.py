"""What a recipe costs on other hardware: hours, money and storage of each step, before anything runs.

The time of a training is its operations over what the hardware does: for each token and parameter 2 forward,
2 backward, 2 where the parameter learns, and 2 more where activations are computed anew (gradient
checkpointing). Start-up, reading, evaluation and networks are not counted, so short stages take longer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vila2.errors import RecipeError
from vila2.nearest import did_you_mean
from vila2.recipe.parts.cycle import part_of
from vila2.recipe.parts.stage import StageSpec
from vila2.recipe.parts.values import DEFAULT_ENGINE
from vila2.recipe.recipe import Recipe
from vila2.train.estimate import training_operations

#: Share of the hardware's operations that training reaches, those of checkpointing included. 30 to 40% are
#: published (lmms-engine, Qwen2.5-VL-7B on 32 A800); VILA's 7B took its 30 hours at .4.
UTILIZATION = 0.4
#: Tokens of a caption.
ANSWER_TOKENS = 150
#: Captions a second of a model of :data:`_RATED` parameters on one H100. Servers: 7.6 to 12.6 requests a
#: second are published for Qwen2.5-VL-7B with vLLM; of what length is not, so ANSWER_TOKENS is assumed.
#: `transformers`: 2.0 against vLLM's 11.9 with Qwen3-VL-4B on 80 GB (olmo-eval, PR 347).
_SERVED, _RATED, _TRANSFORMERS = 10.0, 7.6e9, 2.0 / 11.9
_LAYER_BYTES_PER_TOKEN = 2  # compressed text with its columns; an assumption


@dataclass(frozen=True, slots=True)
class Gpu:
    """A kind of GPU.

    Attributes:
        operations: operations a second in bfloat16, dense, as its maker states.
        price: US dollars an hour, an assumption of December 2026; give your own.
    """

    operations: float
    price: float


GPUS = {
    "A100": Gpu(312e12, 1.5),
    "H100": Gpu(989e12, 2.5),
    "H200": Gpu(989e12, 3.0),
    "L40S": Gpu(362e12, 1.0),
    "B200": Gpu(2250e12, 5.0),
}


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machines of a plan.

    Attributes:
        count: number of GPUs.
        name: kind of the GPUs, in :data:`GPUS`.
    """

    count: int
    name: str

    @classmethod
    def parse(cls, text: str) -> Hardware:
        """Reads ``8xH100``.

        Raises:
            RecipeError: it has another form, or the GPU is not known.
        """
        found = re.fullmatch(r"([1-9][0-9]{0,6})x(\w+)", text)
        if not found:
            raise RecipeError(f"--hardware {text}: not of the form COUNTxGPU", hint="for example 8xH100")
        name = found[2].upper()
        if name not in GPUS:
            raise RecipeError(f"--hardware {text}: unknown GPU", hint=did_you_mean(name, GPUS))
        return cls(int(found[1]), name)


@dataclass(frozen=True, slots=True)
class Workload:
    """What is known of a recipe's data and model.

    Attributes:
        parameters: number of parameters by part: vision, projector, language.
        image_tokens: tokens of an image.
        samples: number of samples by dataset.
        tokens: tokens of a sample by dataset, images and text.
        images: number of images to recaption.
        image_bytes: bytes of an image on disk.
        value_bytes: bytes of a weight.
    """

    parameters: Mapping[str, int]
    image_tokens: int
    samples: Mapping[str, int]
    tokens: Mapping[str, int]
    images: int
    image_bytes: int
    value_bytes: int


@dataclass(frozen=True, slots=True)
class PlannedWork:
    """A step of a plan.

    Attributes:
        name: name of the step.
        samples: number of samples, or of images that are described.
        operations: number of operations; None for captions, whose rate is published.
        gpu_hours: hours of all GPUs together.
        hours: wall time.
        dollars: price of the GPU hours.
        bytes: bytes that stay on disk.
        basis: what the time rests on.
    """

    name: str
    samples: int
    operations: float | None
    gpu_hours: float
    hours: float
    dollars: float
    bytes: int
    basis: str

    def to_json(self) -> dict[str, Any]:
        """Returns the step as plain values."""
        return asdict(self)


def plan_recipe(
    recipe: Recipe,
    work: Workload,
    hardware: Hardware,
    *,
    price: float | None = None,
    utilization: float = UTILIZATION,
    answer_tokens: int = ANSWER_TOKENS,
) -> list[PlannedWork]:
    """Plans VILA_0 and all rounds of a recipe; specialists, controls and benchmarks are not planned.

    Args:
        recipe: recipe of the run.
        work: what is known of its data and model.
        hardware: GPUs.
        price: dollars of a GPU hour; by default as in :data:`GPUS`.
        utilization: share of the hardware's operations that training reaches.
        answer_tokens: tokens of a caption.
    """
    gpu = GPUS[hardware.name]
    dollars = gpu.price if price is None else price
    planner = _Planner(recipe, work, hardware.count, gpu, dollars, utilization, answer_tokens)
    steps = [planner.stored(name, count) for name, count in work.samples.items()]
    steps += [planner.trained("vila0", name, 0) for name in recipe.stages]
    for round_no in range(1, recipe.cycle.rounds + 1):
        steps.append(planner.described(f"self-{round_no}"))
        steps += [planner.trained(f"vila{round_no}", name, answer_tokens) for name in _again(recipe)]
    return steps


@dataclass(frozen=True, slots=True)
class _Planner:
    """Plans the steps of a recipe, one by one."""

    recipe: Recipe
    work: Workload
    count: int
    gpu: Gpu
    price: float
    utilization: float
    answer_tokens: int

    def stored(self, dataset: str, samples: int) -> PlannedWork:
        """The import of a dataset, whose time is not planned."""
        basis = f"{self.work.image_bytes:,} bytes a sample"
        return PlannedWork(f"data-{dataset}", samples, None, 0, 0, 0, samples * self.work.image_bytes, basis)

    def trained(self, prefix: str, name: str, further: int) -> PlannedWork:
        """A training, with further tokens in each sample of the recaptioned dataset."""
        stage, parameters = self.recipe.stages[name], self.work.parameters
        samples, tokens = _read(self.recipe, stage, self.work, further)
        text = {part: number for part, number in parameters.items() if part != "vision"}
        learning = sum(text.get(part, 0) for part in stage.train)
        operations = training_operations(tokens, sum(text.values()), learning, stage)
        operations += samples * _seen(self.recipe, stage, self.work)
        seconds = operations / (self.gpu.operations * self.utilization)
        kept = sum(parameters.values()) * self.work.value_bytes
        basis = f"{tokens:.3g} tokens, {self.gpu.operations:.3g} operations/s at {self.utilization:.0%}"
        return self._step(f"{prefix}-{name}", samples, operations, seconds, kept, basis)

    def described(self, name: str) -> PlannedWork:
        """The captions of a round."""
        low, high = part_of(self.recipe.cycle.share)
        images, engine = round(self.work.images * (high - low)), self.recipe.cycle.engine.name
        rate = caption_rate(sum(self.work.parameters.values()), self.gpu, engine, self.answer_tokens)
        basis = f"{rate:.3g} captions/s on a GPU, engine {engine}, {self.answer_tokens} tokens"
        kept = images * self.answer_tokens * _LAYER_BYTES_PER_TOKEN
        return self._step(name, images, None, images / rate, kept, basis)

    def _step(
        self, name: str, samples: int, operations: float | None, seconds: float, kept: int, basis: str
    ) -> PlannedWork:
        hours = seconds / 3600
        return PlannedWork(
            name, samples, operations, hours, hours / self.count, hours * self.price, kept, basis
        )


def caption_rate(parameters: int, gpu: Gpu, engine: str, answer_tokens: int) -> float:
    """Captions a second on one GPU, scaled from published rates by operations, parameters and tokens."""
    served = _SERVED * gpu.operations / GPUS["H100"].operations * _RATED / parameters
    slower = _TRANSFORMERS if engine == DEFAULT_ENGINE else 1.0
    return served * slower * ANSWER_TOKENS / answer_tokens


def _again(recipe: Recipe) -> list[str]:
    """The stages that a round trains anew: the cycle's, and all after it."""
    names = list(recipe.stages)
    return names[names.index(recipe.cycle.stage) if recipe.cycle.stage in names else 0 :]


def _seen(recipe: Recipe, stage: StageSpec, work: Workload) -> float:
    """Operations of the vision tower for an image: of each patch, several of which may become a token."""
    joined = {"mlp_downsample_3x3_fix": 9, "mlp_downsample_2x2_fix": 4, "mlp_downsample": 4}
    patches = work.image_tokens * joined.get(recipe.model.projector, 1)
    return 2 * work.parameters["vision"] * patches * (3 if "vision" in stage.train else 1)


def _read(recipe: Recipe, stage: StageSpec, work: Workload, further: int) -> tuple[int, float]:
    """Samples and tokens that a stage reads; ``further`` tokens in each of the recaptioned dataset."""
    samples, tokens = 0.0, 0.0
    for entry in stage.mixture:
        low, high = entry.select
        there = work.samples[entry.dataset] * (high - low)
        taken = min(there, entry.count) if entry.count is not None else there * entry.weight
        longer = further if entry.dataset == recipe.recaptioned else 0
        samples += taken
        tokens += taken * min(work.tokens[entry.dataset] + longer, stage.max_length)
    scale = stage.epochs
    if stage.max_steps is not None and samples:
        scale = stage.max_steps * stage.batch_size / samples
    return round(samples * scale), tokens * scale
