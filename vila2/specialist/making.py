"""Making a specialist: build its data, fine-tune the generalist, compare the two (VILA² section 2.2).

    data     = import(--data)                                     # where that names a source
    run:sft  = import(recipe's data)                              # where the generalist is a shipped one
    built    = plugin.builder(data)                               # subsets, and what is held out
    model    = prepare(generalist, plugin.tokens, coordinates)
    model    = train(stage, built + run:sft)                      # every stage of the plugin's recipe
    scores   = plugin.metrics(held-out questions)                 # of the generalist and of the specialist

Each is a step of a run in the specialist's folder. Finished steps are never done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vila2.errors import DataError
from vila2.plugin.code_version import code_version
from vila2.recipe.parts.data import MixtureEntry
from vila2.recipe.parts.stage import StageSpec
from vila2.recipe.specialist_recipe import RUN
from vila2.run.digests import digest_value
from vila2.run.step_files import StepResult
from vila2.run.steps import Run, checkpoint
from vila2.sources.import_step import open_dataset
from vila2.specialist.changed_code import notice_changed_code
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
    """The steps of a job.

    Attributes:
        built: data that the plugin's builder made.
        start: generalist with the tokens and coordinates that the specialist needs.
        stages: trained stages, by name.
        generalist: scores of the generalist on the held-out questions.
        specialist: scores of the specialist on the same questions.
        saved: finished specialist with its provenance.
    """

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
    """Does the steps of a job, in order.

    Args:
        job: what the specialist is made of; see :func:`~vila2.specialist.specialist_job.prepare_job`.
        run: run in which the steps are done.
        steps: beginning of the steps' names.
        processes: number of processes that train together.
        before_training: called with the built data and the prepared model.
    """
    job = _with_own_data(job, run)
    built, start = _build(job, run), _prepare(job, run, steps)
    notice_changed_code(job.plugin, built, dry=run.dry)
    if before_training is not None:
        before_training(built, start)
    stages = _train(job, run, steps, processes, built, start)
    model = list(stages.values())[-1]
    generalist = _ask(job, run, f"{steps}generalist-scores", job.origin.generalist, built)
    specialist = _ask(job, run, f"{steps}specialist-scores", checkpoint(model), built)
    saved = run.step(
        f"{steps}specialist",
        save,
        settings=SaveSettings(provenance=provenance(job)),
        inputs={"model": model, "start": start, "built": built},
    )
    return Made(built, start, stages, generalist, specialist, saved)


def _with_own_data(job: Job, run: Run) -> Job:
    """The job with the data of ``run:STAGE`` imported, where they come from a recipe and lie nowhere yet."""
    datasets = dict(job.origin.datasets)
    for name in job.recipe.datasets():
        entries, inputs = job.origin.mixture(name, job.mix) if name.startswith(RUN) else ([], {})
        for entry in entries:
            if f"data.{entry.dataset}" not in inputs:
                own = entry.dataset.removeprefix("run-")
                datasets[own] = open_dataset(run, own, job.origin.sources[own])
    return replace(job, origin=replace(job.origin, datasets=datasets))


def _prepare(job: Job, run: Run, steps: str) -> StepResult:
    """Gives the generalist the tokens and coordinates that the specialist needs."""
    needs = tokens_and_coordinates(job.specialist, job.recipe)
    return run.step(
        f"{steps}start",
        prepare,
        settings=PrepareSettings(dtype=job.origin.dtype, **needs),
        inputs={"model": job.origin.start(job.recipe.start)},
    )


def _train(
    job: Job, run: Run, steps: str, processes: int, built: StepResult, start: StepResult
) -> dict[str, StepResult]:
    """Trains every stage of the recipe, each from the model of the one before it."""
    model, stages = start, dict[str, StepResult]()
    for name, stage in job.recipe.stages.items():
        mixture, inputs = mixture_of(job, stage, built)
        model = stages[name] = run.step(
            f"{steps}train-{name}",
            train,
            settings=TrainSettings(
                name=name,
                stage=stage.model_copy(update={"mixture": tuple(mixture)}),
                seed=job.recipe.seed,
                dtype=job.origin.dtype,
                processes=processes,
            ),
            inputs={"model": model, **inputs},
        )
    return stages


def _ask(job: Job, run: Run, step: str, model: StepResult | Path | str, built: StepResult) -> StepResult:
    """Asks a model the held-out questions, and scores its answers."""
    return run.step(
        step,
        ask_held_out,
        settings=AskSettings(
            plugin=job.name,
            plugin_version=code_version(job.plugin),
            **dict(job.recipe.evaluate),
            seed=job.recipe.seed,
            dtype=job.origin.dtype,
            engine=job.engine,
        ),
        inputs={"model": model, "data": _dataset(built, HELD_OUT)},
    )


def provenance(job: Job) -> dict[str, Any]:
    """Returns where a specialist comes from, as far as that is known before it is made.

    It becomes a part of specialist.json.
    """
    config, paths = config_settings(job)
    # A specialist of a run under way lies in the run. Its folder may be renamed, and nothing is done again
    # for that.
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
    """Returns a stage's mixture with ``run:STAGE`` spelled out, and the datasets and layers that it reads.

    Args:
        job: what the specialist is made of.
        stage: stage of its recipe.
        built: data that the plugin's builder made.

    Raises:
        DataError: the builder made no sample of a subset that the stage trains on.
        RunError: the generalist has no such stage.
    """
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
        inputs[f"data.{entry.dataset}"] = training_subset(built, entry.dataset)
    return entries, inputs


def training_subset(built: StepResult, subset: str) -> StepResult:
    """Returns a subset that the builder made to train on, in the form of a step's result."""
    return _dataset(built, f"train-{subset}")


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
    """One of the datasets of the build, in the form of a step's result."""
    folder = built.folder / name
    return StepResult(name, digest_value([built.digest, name]), folder, {}, built.done)
