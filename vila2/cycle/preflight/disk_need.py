"""Estimates how much disk a run will take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from vila2.model.assemble_step import assemble
from vila2.run.pruning import MODEL
from vila2.sources.import_step import import_dataset
from vila2.specialist.cost import free_on_disk
from vila2.specialist.making_steps import prepare, save
from vila2.train.estimate import Sizes, stage_memory
from vila2.train.stage_step import train

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from vila2.data.sample import Sample
    from vila2.recipe.parts.data import DatasetSpec
    from vila2.recipe.recipe import Recipe
    from vila2.run.step_files import PlannedStep

#: Kinds of steps that write a whole model. A specialist's last step only gives the model's files a second
#: name.
_WRITERS = (train.digested_as, assemble.digested_as, prepare.digested_as)
#: Number of samples from which a dataset's size is estimated.
_LOOKED_AT = 8
#: Bytes of a tar member's header with padding, and of a sample's text.
_HEADER_BYTES = 1024


class DiskNeed(TypedDict):
    """The disk that a run needs.

    Attributes:
        model: bytes of one model.
        models: number of models that are still to be written.
        staying: number of models at the end of the run, as ``keep`` of the recipe says.
        checkpoints: bytes of the largest stage's checkpoints, the newest and the one before: weights and
            optimizer.
        datasets: bytes of the datasets still to be imported, by name; None where they cannot be told.
        needed: bytes of all together, at most.
        free: bytes free on the disk.
    """

    model: int
    models: int
    staying: int
    checkpoints: int
    datasets: dict[str, int | None]
    needed: int
    free: int


def disk_need(recipe: Recipe, plan: Sequence[PlannedStep], model: PreTrainedModel, folder: Path) -> DiskNeed:
    """Estimates what a run has still to write.

    Args:
        recipe: recipe of the run.
        plan: steps of the run, as a dry walk found them.
        model: model in outline, on the meta device.
        folder: folder of the run; it need not exist yet.
    """
    value_bytes = 4 if recipe.model.dtype == "float32" else 2
    sizes = Sizes.of(model)
    one = sum(sizes.parameters.values()) * value_bytes
    to_do = [step for step in plan if step.state != "done"]
    writers = [step for step in to_do if step.function in _WRITERS]
    names = {step.name.removeprefix("data-") for step in to_do if step.function == import_dataset.digested_as}
    datasets = {name: _dataset_bytes(spec) for name, spec in recipe.data_in_use.items() if name in names}
    trains = any(step.function == train.digested_as for step in to_do)
    checkpoints = 2 * (one + _largest_optimizer(recipe, sizes, value_bytes)) if trains else 0
    known = sum(size or 0 for size in datasets.values())
    return {
        "model": one,
        "models": len(writers),
        "staying": _staying(recipe, plan),
        "checkpoints": checkpoints,
        "datasets": datasets,
        "needed": len(writers) * one + checkpoints + known,
        "free": free_on_disk(folder),
    }


def _staying(recipe: Recipe, plan: Sequence[PlannedStep]) -> int:
    """Counts the models at the end of the run, those of finished steps among them."""
    every = [step for step in plan if step.function in _WRITERS]
    if recipe.keep == "all":
        return sum(step.state != "done" or (step.folder / MODEL).is_dir() for step in every)
    specialists = sum(step.function == save.digested_as for step in plan)
    if recipe.keep == "best":
        return 1 + specialists + bool(recipe.specialists)
    last = f"-{list(recipe.stages)[-1]}"
    return specialists + sum(step.name.endswith(last) and "-train-" not in step.name for step in every)


def _largest_optimizer(recipe: Recipe, sizes: Sizes, value_bytes: int) -> int:
    """The bytes of the largest optimizer state among the stages."""
    needs = (
        stage_memory(sizes, stage, tokens=1, counted=1, value_bytes=value_bytes)
        for stage in recipe.stages.values()
    )
    return max(need["optimizer"] or 0 for need in needs)


def _dataset_bytes(spec: DatasetSpec) -> int | None:
    """Estimates a dataset's bytes: from some samples where their number is known, else from its files."""
    from vila2.cycle.preflight.recipe_preflight import expected_size
    from vila2.sources.first_samples import some_samples

    count = expected_size(spec)
    if isinstance(count, int):
        found = [_sample_bytes(sample) for sample in islice(some_samples("", spec), _LOOKED_AT)]
        return count * sum(found) // len(found)
    places = [
        spec.path,
        *(value for name, value in spec.options.items() if name.endswith(("root", "folder"))),
    ]
    there = [Path(place) for place in places if isinstance(place, str) and Path(place).exists()]
    return sum(map(_bytes_at, there)) if there else None


def _sample_bytes(sample: Sample) -> int:
    return _HEADER_BYTES + sum(_HEADER_BYTES + len(image) for image in sample.images)


def _bytes_at(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    found = 0
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            if os.path.isfile(file):
                found += os.path.getsize(file)
    return found
