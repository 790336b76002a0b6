"""What is looked at before a specialist is made: whether its data gives samples, which the model can be trained on.

A dry run is also told what it will be: data, settings and why, a sample of each stage in tokens, memory, disk and time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2.data.branches import is_tree, take_apart
from vila2.data.sample import Sample
from vila2.errors import DataError, Vila2Error
from vila2.recipe.specialist_defaults import reason
from vila2.run.step_files import StepResult
from vila2.run.steps import Run
from vila2.specialist.data_trial import Tried, try_data
from vila2.specialist.making import make
from vila2.specialist.making_steps import give_tokens
from vila2.specialist.specialist_job import Job, tokens_and_coordinates
from vila2.train.shown import fold_repeats, image_place

if TYPE_CHECKING:
    from vila2.recipe.parts.stage import StageSpec
    from vila2.recipe.recipe import Recipe

log = logging.getLogger("vila2.specialist")

#: Gives a generalist's structure without its weights, and its processor; anew each time.
Outline = Callable[[], tuple[Any, Any]]


def preflight_specialist(job: Job, folder: Path) -> dict[str, Any]:
    """Checks all that can be checked and works on single samples; nothing is written.

    Returns:
        ``plan`` (the steps), ``samples`` (by stage, one in tokens), ``memory`` (bytes by stage and purpose)
        and ``specialist`` (see :func:`looked_at`).

    Raises:
        Vila2Error: what would go wrong.
    """
    from vila2.specialist.cost import free_on_disk
    from vila2.train.processes import processes_here

    processes = processes_here("auto")
    check_stages(job, processes)
    plan = Run.open(folder, dry=True)
    make(job, plan)
    found = looked_at(job, try_data(job, count_on=True), lambda: _from_checkpoint(job), processes)
    found["free"] = free_on_disk(folder)
    return {
        "plan": plan.plan,
        "samples": found.pop("samples"),
        "memory": found.pop("memory"),
        "specialist": found,
    }


def check_before_work(job: Job, folder: Path, done: Collection[str]) -> None:
    """Whether a specialist can be made; nothing is written.

    Args:
        job: of :func:`vila2.specialist.specialist_job.prepare_job`.
        folder: where it goes.
        done: names of its steps that are finished.

    Raises:
        Vila2Error: what stands in the way.
    """
    from vila2.specialist.cost import check_disk
    from vila2.train.processes import processes_here

    if f"build-{job.name}" in done:
        return
    processes = processes_here("auto")
    check_stages(job, processes)
    found = looked_at(job, try_data(job), lambda: _from_checkpoint(job), processes, quick=True)
    check_disk(room_of(found["disk"]), folder, f"the specialist {job.name!r}")


def _from_checkpoint(job: Job) -> tuple[Any, Any]:
    from vila2.model.outline import outline

    start = job.origin.start(job.recipe.start)
    return outline(start.folder if isinstance(start, StepResult) else start)


def check_stages(job: Job, processes: int) -> None:
    """Whether this machine has what the stages need, for so many processes that train together.

    Raises:
        TrainingError: it has not.
    """
    from vila2.train.stage_checks import check_stage

    for stage in job.recipe.stages.values():
        check_stage(stage, processes)


def say_what_is_left_aside(recipe: Recipe) -> None:
    """A specialist that was made before is neither built nor trained here, whatever the recipe says of that."""
    for name, use in recipe.specialists.items():
        aside = [key for key in ("recipe", "data", "set") if getattr(use, key)]
        if use.made and aside:
            log.warning(
                "specialists.%s: it was made before, so these keys count for nothing: %s",
                name,
                ", ".join(aside),
            )


def room_of(disk: Mapping[str, int | None]) -> int:
    """The bytes of a specialist on disk, as far as they are known."""
    return sum(size or 0 for size in disk.values())


def looked_at(
    job: Job, tried: Tried, outline: Outline, processes: int, *, quick: bool = False
) -> dict[str, Any]:
    """What is known of a specialist before it is made.

    Args:
        job: of :func:`vila2.specialist.specialist_job.prepare_job`.
        tried: its data.
        outline: of the generalist.
        processes: that train together.
        quick: only look for what would stop it.

    Returns:
        ``name``, ``data``, ``stages`` (settings, and ``why`` they are so), ``samples``, ``memory``, ``disk``
        and ``time``.

    Raises:
        Vila2Error: the model cannot be trained so.
    """
    from vila2.specialist.cost import (
        Rate,
        disk,
        learning_parameters,
        samples_of_stage,
        training_time,
    )
    from vila2.train.estimate import Sizes, stage_memory
    from vila2.train.model_fit import check_answers, check_fit, how_it_isolates

    model, processor = _with_tokens(job, outline)
    check_fit(job.recipe.stages, model, processor)
    check_answers(processor, f"the held-out questions of {job.plugin}")
    sizes = Sizes.of(model)
    parameters = sum(sizes.parameters.values())
    value_bytes = 4 if job.origin.dtype == "float32" else 2
    ours = model.config.model_type == "vila2"
    samples: dict[str, dict[str, Any]] = {}
    memory, stages, durations, learning = {}, {}, {}, {}
    rate = None if quick else Rate.measured(job.origin.dtype)
    for name, stage in job.recipe.stages.items():
        dataset, sample = _sample_of(stage, tried.first)
        problem = how_it_isolates(stage, model).problem
        parts = take_apart(sample) if problem else [sample]
        samples[name] = {"dataset": dataset, **in_tokens(job, parts[0], stage, processor)}
        if problem and is_tree(sample):
            samples[name]["taken_apart"] = {"why": problem, "first": len(parts)}
        learning[name] = learning_parameters(_with_tokens(job, outline)[0], stage)
        if rate is None:
            continue
        tokens, counted = samples[name]["tokens"], samples[name]["trained_tokens" if ours else "tokens"]
        memory[name] = stage_memory(
            sizes,
            stage,
            tokens=tokens,
            counted=counted,
            value_bytes=value_bytes,
            processes=processes,
        )
        count, why = samples_of_stage(job, stage, tried)
        stages[name] = {
            "train": list(stage.train),
            "lora": stage.lora.model_dump(mode="json") if stage.lora else None,
            "learning_rate": stage.learning_rate,
            "batch_size": stage.batch_size,
            "epochs": stage.epochs,
            "samples": count,
            "parameters": parameters,
            "parameters_trained": learning[name],
            "why": reason(
                stage,
                left=name in job.recipe.left_to_the_generalist,
                miniature=job.origin.miniature,
                parameters=parameters,
                recipe=job.recipe_from,
            ),
        }
        durations[name] = training_time(
            stage, count, why, tokens * len(parts), parameters=parameters, learning=learning[name], rate=rate
        ).to_json()
    room = disk(job, tried, parameters=parameters, learning=learning, value_bytes=value_bytes)
    return {
        "name": job.name,
        "data": tried.to_json(),
        "stages": stages,
        "samples": samples,
        "memory": memory,
        "disk": room,
        "time": durations,
    }


def _with_tokens(job: Job, outline: Outline) -> tuple[Any, Any]:
    model, processor = outline()
    give_tokens(model, processor, **tokens_and_coordinates(job.specialist, job.recipe))
    return model, processor


def _sample_of(stage: StageSpec, first: dict[str, Sample]) -> tuple[str, Sample]:
    named = [entry.dataset for entry in stage.mixture if entry.dataset in first]
    dataset = named[0] if named else next(iter(first))
    return dataset, first[dataset]


def in_tokens(job: Job, sample: Sample, stage: StageSpec, processor: Any) -> dict[str, Any]:
    """A built sample as the model reads it, and what of it the loss counts.

    Raises:
        DataError: it cannot be read so, or nothing of it would count within the stage's max_length.
    """
    from vila2.model.conversation import IGNORED, ConversationEncoder

    try:
        encoded = ConversationEncoder(processor, max_length=stage.max_length).encode(sample, stage.style)
    except Vila2Error:
        raise
    except Exception as error:  # of a model's own processor or chat template
        raise DataError(
            f"{job.plugin}: the model cannot read a sample that it builds ({sample.key}): "
            f"{type(error).__name__}: {error}",
            hint="look at the model's processor and chat template; `vila2 data preview` shows samples of "
            "other datasets",
        ) from error
    trained = [
        token for token, label in zip(encoded.input_ids, encoded.labels, strict=True) if label != IGNORED
    ]
    decode = processor.tokenizer.decode
    return {
        "tokens": len(encoded.input_ids),
        "trained_tokens": len(trained),
        "text": fold_repeats(decode(encoded.input_ids), image_place(processor)),
        "trained_text": decode(trained),
    }
