"""Making a specialist: build its data, fine-tune the generalist on it, and compare the two (VILA² section 2.2).

    data     = import(--data)                                     # where that names a source
    built    = plugin.builder(data)                               # subsets, and what is held out
    model    = prepare(generalist, plugin.tokens, coordinates)
    model    = train(stage, built + run:sft)                      # every stage of the plugin's recipe
    scores   = plugin.metrics(held-out questions)                 # of the generalist and of the specialist

Each is a step of a run in the specialist's folder: finished ones are never done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vila2.errors import DataError
from vila2.recipe.parts.data import MixtureEntry
from vila2.recipe.parts.stage import StageSpec
from vila2.recipe.specialist_recipe import RUN
from vila2.run.digests import digest_value
from vila2.run.step_files import StepResult
from vila2.run.steps import Run, checkpoint
from vila2.sources.import_step import open_dataset
from vila2.specialist.making_steps import (
    HELD_OUT,
    AskSettings,
    BuildSettings,
    PrepareSettings,
    SaveSettings,
    ask_held_out,
    build,
    prepare,
    save,
)
from vila2.specialist.specialist_job import Job, config_settings, tokens_and_coordinates
from vila2.train.stage_step import train
from vila2.train.train_settings import TrainSettings


@dataclass(frozen=True, slots=True)
class Made:
    """The steps of a job."""

    built: StepResult
    start: StepResult
    stages: Mapping[str, StepResult]
    generalist: StepResult
    specialist: StepResult
    saved: StepResult


def make(
    job: Job,
    run: Run,
    *,
    steps: str = "",
    processes: int = 1,
    before_training: Callable[[StepResult, StepResult], None] | None = None,
) -> Made:
    """The steps of a job, in order.

    Args:
        job: of :func:`prepare_job`.
        run: where they are done.
        steps: what their names begin with.
        processes: that train together.
        before_training: called when the data is built and the model prepared.
    """
    dtype = job.origin.dtype
    built = _build(job, run)
    start = model = run.step(
        f"{steps}start",
        prepare,
        settings=PrepareSettings(dtype=dtype, **tokens_and_coordinates(job.specialist, job.recipe)),
        inputs={"model": job.origin.start(job.recipe.start)},
    )
    if before_training is not None:
        before_training(built, start)
    stages = {}
    for name, stage in job.recipe.stages.items():
        mixture, inputs = mixture_of(job, stage, built)
        spec = stage.model_copy(update={"mixture": tuple(mixture)})
        model = stages[name] = run.step(
            f"{steps}train-{name}",
            train,
            settings=TrainSettings(
                name=name, stage=spec, seed=job.recipe.seed, dtype=dtype, processes=processes
            ),
            inputs={"model": model, **inputs},
        )
    held_out = _dataset(built, HELD_OUT)
    scores = {
        whose: run.step(
            f"{steps}{whose}-scores",
            ask_held_out,
            settings=AskSettings(
                plugin=job.name,
                plugin_version=job.plugin.version,
                **dict(job.recipe.evaluate),
                seed=job.recipe.seed,
                dtype=dtype,
                engine=job.engine,
            ),
            inputs={"model": checkpoint, "data": held_out},
        )
        for whose, checkpoint in (("generalist", job.origin.generalist), ("specialist", checkpoint(model)))
    }
    saved = run.step(
        f"{steps}specialist",
        save,
        settings=SaveSettings(provenance=provenance(job)),
        inputs={"model": model, "start": start, "built": built},
    )
    return Made(built, start, stages, scores["generalist"], scores["specialist"], saved)


def provenance(job: Job) -> dict[str, Any]:
    """Where a specialist comes from, as far as that is known before it is made."""
    config, paths = config_settings(job)
    # A specialist of a run that is under way lies in it: its folder may be renamed, and nothing is to be done again.
    inside = isinstance(job.origin.generalist, StepResult)
    run = None if inside or job.origin.run is None else str(job.origin.run)
    return {
        "plugin": job.name,
        "package": job.plugin.package,
        "version": job.plugin.version,
        "licence": job.specialist.licence,
        "builder": {
            "version": job.builder_version,
            "config": config | {name: str(path) for name, path in paths.items()},
        },
        "data": str(job.data.path or job.data.source),
        "generalist": {"name": job.origin.name, "run": run},
        "start": job.recipe.start,
        "stages": list(job.recipe.stages),
        "annotate": job.recipe.annotate.model_dump(mode="json"),
        "dtype": job.origin.dtype,
    }


def mixture_of(
    job: Job, stage: StageSpec, built: StepResult
) -> tuple[list[MixtureEntry], dict[str, StepResult | Path]]:
    """A stage's mixture with ``run:STAGE`` spelled out, and the inputs that it needs."""
    entries: list[MixtureEntry] = []
    inputs: dict[str, StepResult | Path] = {}
    for entry in stage.mixture:
        if entry.dataset.startswith(RUN):
            own, paths = job.origin.mixture(entry.dataset, job.mix)
            entries += [one.model_copy(update={"weight": one.weight * entry.weight}) for one in own]
            inputs |= paths
            continue
        if built.done and f"train-{entry.dataset}" not in built.results["samples"]:
            raise DataError(
                f"the builder made no sample of subset {entry.dataset!r}, which the recipe trains on",
                hint=f"check --data, or leave it out: --set stages.NAME.mixture=[...]; see {built.folder}",
            )
        entries.append(entry)
        inputs[f"data.{entry.dataset}"] = _dataset(built, f"train-{entry.dataset}")
    return entries, inputs


def _build(job: Job, run: Run) -> StepResult:
    data: StepResult | Path = job.images or Path(str(job.data.path))
    if job.data.source != "path":
        data = open_dataset(run, job.data.source, job.data)
    config, paths = config_settings(job)
    return run.step(
        f"build-{job.name}",
        build,
        settings=BuildSettings(
            plugin=job.name,
            plugin_version=job.plugin.version,
            config=config,
            prompts=(*job.specialist.prompts, *job.specialist.questions),
            held_out=job.recipe.held_out,
            seed=job.recipe.seed,
        ),
        inputs={"data": data, **paths},
        version=job.builder_version,
    )


def _dataset(built: StepResult, name: str) -> StepResult:
    """One of the datasets of the build, in the place of a step."""
    folder = built.folder / name
    return StepResult(name, digest_value([built.digest, name]), folder, {}, built.done)
