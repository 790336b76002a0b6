"""The forecast of a specialist: how its stages train and why so, and what it takes in memory, disk, time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from vila2.data.branches import is_tree, take_apart
from vila2.data.sample import Sample
from vila2.errors import DataError, Vila2Error
from vila2.recipe.specialist_defaults import reason
from vila2.specialist.data_trial import Tried, TriedRow
from vila2.specialist.making_steps import give_tokens
from vila2.specialist.specialist_job import Job, tokens_and_coordinates
from vila2.train.sample_tokens import SampleTokens, TokenText, token_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

    from vila2.recipe.parts.stage import StageSpec
    from vila2.specialist.cost import DurationRow, Rate
    from vila2.train.estimate import Sizes

#: Makes a generalist in outline, without its weights, and its processor; anew each time.
Outline = Callable[[], "tuple[PreTrainedModel, ProcessorMixin]"]


class StageForecast(TypedDict):
    """How a stage will train.

    Attributes:
        train: parts of the model that it trains.
        lora: settings of its adapters; None where it has none.
        learning_rate, batch_size, epochs: settings of the stage.
        samples: number of samples of one epoch; None where it is not known yet.
        parameters: number of parameters of the model.
        parameters_trained: number of those that learn.
        why: reason for the settings.
    """

    train: list[str]
    lora: dict[str, Any] | None
    learning_rate: float
    batch_size: int
    epochs: float
    samples: int | None
    parameters: int
    parameters_trained: int
    why: str


class Forecast(TypedDict):
    """What is known of a specialist before it is made.

    Attributes:
        name: name of the specialist.
        data: what its first inputs gave.
        stages: how its stages will train, by name.
        samples: one sample in tokens, by stage.
        memory: bytes on one device, by stage and purpose; None where they cannot be told.
        disk: bytes on disk, by purpose; None where they are not known yet.
        time: times of training, by stage.
        free: bytes free on the disk.
    """

    name: str
    data: TriedRow
    stages: dict[str, StageForecast]
    samples: NotRequired[dict[str, SampleTokens]]
    memory: NotRequired[dict[str, dict[str, int | None]]]
    disk: dict[str, int | None]
    time: dict[str, DurationRow]
    free: NotRequired[int]


def forecast(job: Job, tried: Tried, outline: Outline, processes: int, *, quick: bool = False) -> Forecast:
    """Forecasts a specialist.

    Args:
        job: what the specialist is made of.
        tried: what the first inputs of its data gave.
        outline: generalist in outline.
        processes: number of processes that train together.
        quick: whether to look only for what would stop it. Then settings, memory and times stay empty.

    Raises:
        Vila2Error: the model cannot be trained so.
    """
    from vila2.specialist.cost import Rate, disk, learning_parameters
    from vila2.train.estimate import Sizes
    from vila2.train.model_fit import check_answers, check_fit

    model, processor = _with_tokens(job, outline)
    check_fit(job.recipe.stages, model, processor)
    check_answers(processor, f"the held-out questions of {job.plugin}")
    samples = {
        name: _first_sample(job, stage, tried, model, processor) for name, stage in job.recipe.stages.items()
    }
    learning = {
        name: learning_parameters(_with_tokens(job, outline)[0], stage)
        for name, stage in job.recipe.stages.items()
    }
    estimates = _Estimates(
        job,
        tried,
        Sizes.of(model),
        samples,
        learning,
        processes,
        counts="trained_tokens" if model.config.model_type == "vila2" else "tokens",
    )
    rate = None if quick else Rate.measured(job.origin.dtype)
    return {
        "name": job.name,
        "data": tried.to_json(),
        "stages": {} if rate is None else {name: estimates.settings(name) for name in samples},
        "samples": samples,
        "memory": {} if rate is None else {name: estimates.memory(name) for name in samples},
        "disk": disk(
            job,
            tried,
            parameters=estimates.parameters,
            learning=learning,
            value_bytes=estimates.value_bytes,
        ),
        "time": {} if rate is None else {name: estimates.time(name, rate) for name in samples},
    }


@dataclass(frozen=True, slots=True)
class _Estimates:
    """What a stage takes, by its name.

    Attributes:
        job: what the specialist is made of.
        tried: what the first inputs of its data gave.
        sizes: sizes of the model.
        samples: one sample in tokens, by stage.
        learning: numbers of parameters that learn, by stage.
        processes: number of processes that train together.
        counts: tokens of a sample that get logits: in a model of our family those that the loss counts, else
            all.
    """

    job: Job
    tried: Tried
    sizes: Sizes
    samples: Mapping[str, SampleTokens]
    learning: Mapping[str, int]
    processes: int
    counts: Literal["tokens", "trained_tokens"]

    @property
    def parameters(self) -> int:
        return sum(self.sizes.parameters.values())

    @property
    def value_bytes(self) -> int:
        return 4 if self.job.origin.dtype == "float32" else 2

    def settings(self, name: str) -> StageForecast:
        """How a stage trains, and why so."""
        from vila2.specialist.cost import samples_of_stage

        job, stage = self.job, self.job.recipe.stages[name]
        count, _ = samples_of_stage(job, stage, self.tried)
        return {
            "train": list(stage.train),
            "lora": stage.lora.model_dump(mode="json") if stage.lora else None,
            "learning_rate": stage.learning_rate,
            "batch_size": stage.batch_size,
            "epochs": stage.epochs,
            "samples": count,
            "parameters": self.parameters,
            "parameters_trained": self.learning[name],
            "why": reason(
                stage,
                left=name in job.recipe.left_to_the_generalist,
                miniature=job.origin.miniature,
                parameters=self.parameters,
                recipe=job.recipe_from,
            ),
        }

    def memory(self, name: str) -> dict[str, int | None]:
        """Bytes on one device, by purpose."""
        from vila2.train.estimate import stage_memory

        return stage_memory(
            self.sizes,
            self.job.recipe.stages[name],
            tokens=self.samples[name]["tokens"],
            counted=self.samples[name][self.counts],
            value_bytes=self.value_bytes,
            processes=self.processes,
        )

    def time(self, name: str, rate: Rate) -> DurationRow:
        """Time of training; each branch of a tree that is taken apart is a sample."""
        from vila2.specialist.cost import samples_of_stage, training_time

        stage, sample = self.job.recipe.stages[name], self.samples[name]
        count, why = samples_of_stage(self.job, stage, self.tried)
        branches = sample["taken_apart"]["first"] if "taken_apart" in sample else 1
        return training_time(
            stage,
            count,
            why,
            sample["tokens"] * branches,
            parameters=self.parameters,
            learning=self.learning[name],
            rate=rate,
        ).to_json()


def _with_tokens(job: Job, outline: Outline) -> tuple[PreTrainedModel, ProcessorMixin]:
    """The generalist in outline, with the tokens and coordinates that the specialist needs."""
    model, processor = outline()
    give_tokens(model, processor, **tokens_and_coordinates(job.specialist, job.recipe))
    return model, processor


def _first_sample(
    job: Job, stage: StageSpec, tried: Tried, model: PreTrainedModel, processor: ProcessorMixin
) -> SampleTokens:
    """The first sample of a stage in tokens.

    Where the model cannot keep branches apart, a tree's first branch.
    """
    from vila2.train.model_fit import how_it_isolates

    named = [entry.dataset for entry in stage.mixture if entry.dataset in tried.first]
    dataset = named[0] if named else next(iter(tried.first))
    sample = tried.first[dataset]
    problem = how_it_isolates(stage, model).problem
    parts = take_apart(sample) if problem else [sample]
    read = in_tokens(job, parts[0], stage, processor)
    shown: SampleTokens = {
        "dataset": dataset,
        "tokens": read["tokens"],
        "trained_tokens": read["trained_tokens"],
        "text": read["text"],
        "trained_text": read["trained_text"],
    }
    if problem and is_tree(sample):
        shown["taken_apart"] = {"why": problem, "first": len(parts)}
    return shown


def in_tokens(job: Job, sample: Sample, stage: StageSpec, processor: Any) -> TokenText:
    """Encodes a built sample.

    Args:
        job: what the specialist is made of.
        sample: sample that its builder made.
        stage: stage that trains on it.
        processor: processor of the model.

    Raises:
        DataError: the model cannot read the sample, or nothing of it would count within the stage's
            max_length.
    """
    from vila2.model.conversation import ConversationEncoder

    try:
        encoder = ConversationEncoder(processor, max_length=stage.max_length)
        return token_text(encoder, processor, sample, stage.style)
    except Vila2Error:
        raise
    except Exception as error:  # from a model's own processor or chat template
        raise DataError(
            f"{job.plugin}: the model cannot read a sample that it builds ({sample.key}): "
            f"{type(error).__name__}: {error}",
            hint="look at the model's processor and chat template; `vila2 data preview` shows samples of "
            "other datasets",
        ) from error
