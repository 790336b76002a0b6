"""Estimates what making a specialist takes (parameters that learn, disk, time), and says from what."""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch
from transformers import PreTrainedModel

from vila2.data.shards import ShardDataset
from vila2.errors import RunError
from vila2.recipe.parts.data import MixtureEntry
from vila2.recipe.parts.stage import StageSpec
from vila2.recipe.specialist_recipe import RUN
from vila2.run.step_files import StepResult
from vila2.specialist.data_trial import Tried
from vila2.specialist.specialist_job import Job
from vila2.train.estimate import training_operations
from vila2.train.freezing import freeze_all_but
from vila2.train.lora import add_lora

#: Share of a matrix product's speed that training reaches.
_USED = 0.3
#: Side of the matrices that are multiplied to measure that speed.
_SIDE = 1024
#: Seconds that they are multiplied for.
_MEASURED = 0.1


def learning_parameters(model: PreTrainedModel, stage: StageSpec) -> int:
    """Counts the parameters that a stage trains.

    Args:
        model: model in outline, which is changed.
        stage: stage of the recipe.

    Raises:
        TrainingError: the model lacks a part that the stage trains, or cannot take adapters.
    """
    freeze_all_but(model, stage.train)
    learner: torch.nn.Module = model
    if stage.lora:
        plain = stage.model_copy(update={"lora": stage.lora.model_copy(update={"quantize": None})})
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # between peft and transformers
            learner = add_lora(model, plain)
    return sum(p.numel() for p in learner.parameters() if p.requires_grad)


def samples_of_stage(job: Job, stage: StageSpec, tried: Tried) -> tuple[int | None, str]:
    """Counts the samples of one epoch of a stage.

    Args:
        job: what the specialist is made of.
        stage: stage of its recipe.
        tried: what the first inputs of its data gave.

    Returns:
        The number; None, with the reason, where it is known only later.
    """
    times, count = tried.times, 0.0
    if times is None:
        return None, f"how many samples {tried.where} gives is known once they are built"
    for entry in stage.mixture:
        if entry.dataset.startswith(RUN):
            own, paths = job.origin.mixture(entry.dataset, job.mix)
            sizes = [_taken(one, _size(job, paths.get(f"data.{one.dataset}"), one)) for one in own]
            if None in sizes:
                return None, f"how many samples {entry.dataset} has is known once it is read"
            count += entry.weight * sum(size for size in sizes if size is not None)
        else:
            built = times * tried.samples.get(entry.dataset, 0) * (1 - job.recipe.held_out)
            count += _taken(entry, built) or 0
    return round(count), ""


def _taken(entry: MixtureEntry, size: float | None) -> float | None:
    """Counts the samples of a dataset that an entry of a mixture takes in an epoch."""
    if size is None:
        return None
    low, high = entry.select
    size *= high - low
    return min(size, entry.count) if entry.count is not None else size * entry.weight


def _size(job: Job, dataset: StepResult | Path | None, entry: MixtureEntry) -> float | None:
    """Counts the samples of a dataset of the run; None where they are known only after the import."""
    folder = dataset.folder if isinstance(dataset, StepResult) else dataset
    if folder is not None and (folder / "dataset.json").is_file():
        return len(ShardDataset.open(folder))
    spec = job.origin.sources.get(entry.dataset.removeprefix("run-"))
    count = spec.options.get("count") if spec else None
    return count if isinstance(count, int) else None


#: An estimated time in seconds, and what the estimate rests on.
DurationRow = TypedDict("DurationRow", {"seconds": float | None, "from": str})


@dataclass(frozen=True, slots=True)
class Duration:
    """An estimated time.

    Attributes:
        seconds: the time; None where it is unknown.
        reason: what the estimate rests on, or why there is none.
    """

    seconds: float | None
    reason: str

    def to_json(self) -> DurationRow:
        """Returns the time as plain values."""
        return {"seconds": self.seconds and round(self.seconds), "from": self.reason}


def training_time(
    stage: StageSpec,
    samples: int | None,
    why: str,
    tokens: int,
    *,
    parameters: int,
    learning: int,
    rate: Rate,
) -> Duration:
    """Estimates how long a stage trains on one device.

    Args:
        stage: stage to train.
        samples: number of samples of one epoch; None where it is not known.
        why: reason why it is not known.
        tokens: number of tokens of a typical sample.
        parameters: number of parameters of the model.
        learning: number of those that learn.
        rate: speed of this machine.
    """
    if stage.max_steps is not None:
        samples, epochs = stage.max_steps * stage.batch_size, 1.0
    else:
        epochs = stage.epochs
    if samples is None:
        return Duration(None, why)
    operations = training_operations(tokens * samples * epochs, parameters, learning, stage)
    said = (
        f"{samples:,} samples x {epochs:g} epochs x {tokens:,} tokens = {operations:.2g} operations, at "
        f"{_USED:.0%} of the {rate.per_second:.2g} a second of a matrix product measured on this machine "
        f"({rate.device})"
    )
    return Duration(operations / (_USED * rate.per_second), said)


@dataclass(frozen=True, slots=True)
class Rate:
    """The speed of a large matrix product on this machine.

    Attributes:
        per_second: operations per second.
        device: name of the device.
    """

    per_second: float
    device: str

    @classmethod
    def measured(cls, dtype: str) -> Rate:
        """Measures the speed: multiplies matrices for a tenth of a second."""
        from vila2.train.precision import computed_in

        gpu = torch.cuda.is_available()
        device = torch.device("cuda" if gpu else "cpu")
        one = torch.ones(_SIDE, _SIDE, dtype=getattr(torch, computed_in(dtype)), device=device)
        done, start = 0, time.perf_counter()
        while done == 0 or time.perf_counter() - start < _MEASURED:
            one @ one
            if gpu:
                torch.cuda.synchronize()
            if done == 0:  # the first one warms up
                start = time.perf_counter()
            done += 1
        per_second = 2 * _SIDE**3 * max(done - 1, 1) / (time.perf_counter() - start)
        return cls(
            per_second, torch.cuda.get_device_name() if gpu else f"CPU, threads: {torch.get_num_threads()}"
        )


def disk(
    job: Job, tried: Tried, *, parameters: int, learning: Mapping[str, int], value_bytes: int
) -> dict[str, int | None]:
    """Estimates the bytes that a specialist takes on disk.

    Models are the start and one for each stage; the finished one is the last under a second name. Checkpoints
    lie there while a stage trains: at most an old one and a new one.

    Args:
        job: what the specialist is made of.
        tried: what the first inputs of its data gave.
        parameters: number of parameters of the model.
        learning: numbers of those that learn, by stage.
        value_bytes: bytes of a weight.

    Returns:
        Bytes by purpose; None where they are known only once the data is built.
    """
    whole = parameters * value_bytes
    largest = 0
    for name, stage in job.recipe.stages.items():
        weights = learning[name] * 4 if stage.lora else parameters * 4
        largest = max(largest, 2 * (weights + 8 * learning[name]))
    built = None if tried.times is None else round(tried.times * tried.bytes)
    return {
        "data": built,
        "models": whole * (1 + len(job.recipe.stages)),
        "checkpoints while training": largest,
    }


def check_disk(needed: int, folder: Path, what: str) -> None:
    """Checks that there is room on disk.

    Args:
        needed: bytes that are needed.
        folder: folder that they are written to; it need not exist yet.
        what: what needs them, for the error.

    Raises:
        RunError: there is too little room.
    """
    free = free_on_disk(folder)
    if needed > free:
        raise RunError(
            f"{what}: {needed / 1e9:.1f} GB are needed on disk, and that of {folder} has "
            f"{free / 1e9:.1f} GB left",
            hint="make room, or name a folder on another disk with --out",
        )


def free_on_disk(folder: Path) -> int:
    """Returns the bytes that are free on a folder's disk; the folder need not exist yet."""
    there = folder.resolve()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free
