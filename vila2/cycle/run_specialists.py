"""The specialists of a run: the paper's Figure 1 (b), section 2.2, up to what they say about the images.

specialist = specialise(best, plugin)           # from the best round's checkpoint
layer      = annotate(specialist, prompts)      # the same images, the plugin's task prompts
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vila2.cycle.training import Cycle, TrainedGeneralist
from vila2.errors import RecipeError, Vila2Error
from vila2.plugin.host import Host
from vila2.recipe.checks.learning import within
from vila2.recipe.parts.data import MixtureEntry
from vila2.recipe.specialist_recipe import AnnotateSpec
from vila2.run.step_files import StepResult
from vila2.run.steps import checkpoint
from vila2.specialist.annotate_step import AnnotateSettings, annotate as annotate_step
from vila2.specialist.made import MadeSpecialist
from vila2.specialist.making import Made, make
from vila2.specialist.origin import Origin, starts_from_the_miniature
from vila2.specialist.specialist_job import Job, prepare_job

#: Of the images, in the paper's Table 3: with a specialist's captions beside all the others.
SHARE = 0.05


@dataclass(frozen=True, slots=True)
class RunSpecialist:
    """A specialist of the run.

    Attributes:
        plugin: its name, and that of its layer.
        model: its checkpoint.
        settings: how it is asked.
        job, made: where this run made it.
    """

    plugin: str
    model: StepResult
    settings: AnnotateSpec
    job: Job | None = None
    made: Made | None = None


def prepare_specialists(cycle: Cycle, best: TrainedGeneralist) -> dict[str, Job]:
    """Checks what the run's specialists will be made of; those made before need nothing more.

    Raises:
        Vila2Error: naming the plugin and what is wrong with its recipe or data.
    """
    brought = [name for name, use in cycle.recipe.specialists.items() if use.made]
    if brought and cycle.recipe.specialist_data == "sft":
        raise RecipeError(
            f"specialists.{brought[0]} was made before, so the data it was trained on is not here to go straight into SFT",
            hint=f"leave out specialists.{brought[0]}.made, or the control specialist-data-in-sft",
        )
    origin, seed = origin_of(cycle, best), cycle.recipe.seed
    jobs: dict[str, Job] = {}
    wrong: list[tuple[str, Vila2Error]] = []
    for name, use in cycle.recipe.specialists.items():
        if use.made:
            continue
        try:
            jobs[name] = prepare_job(
                name,
                origin,
                use.data,
                recipe=Path(use.recipe) if use.recipe else None,
                overrides=[f"{key}={json.dumps(value)}" for key, value in ({"seed": seed} | use.set).items()],
                told_as="set:",
            )
        except Vila2Error as error:
            wrong.append((f"specialists.{name}", error))
    together(wrong)
    return jobs


def together(wrong: Sequence[tuple[str, Vila2Error]]) -> None:
    """Raises what is wrong with several specialists as one error; one alone as it is, with its place in the recipe.

    Args:
        wrong: place in the recipe and error.
    """
    if not wrong:
        return
    place, first = wrong[0]
    if len(wrong) == 1:
        raise type(first)(f"{place}: {first.what}", hint=first.hint) from first
    shown = [f"{place}: {error.what}" + (f" ({error.hint})" if error.hint else "") for place, error in wrong]
    lines = "\n".join(shown).replace("\n", "\n  ")
    raise RecipeError(
        f"{len(wrong)} specialists can not be made\n  {lines}",
        hint="nothing was run; fix them and give the command again",
    ) from first


def specialise(cycle: Cycle, plugin: str, job: Job | None) -> RunSpecialist:
    """Fine-tunes the generalist that the job names, or takes the specialist that the recipe brings along."""
    if job is None:
        found = MadeSpecialist.open(Path(cycle.recipe.specialists[plugin].made), plugin)
        model = cycle.run.existing(f"specialist-{plugin}", found.model)
        return RunSpecialist(plugin, model, AnnotateSpec.model_validate(found.provenance["annotate"]))
    made = make(job, cycle.run, steps=f"{plugin}-", processes=cycle.processes)
    return RunSpecialist(plugin, checkpoint(made.saved), job.recipe.annotate, job, made)


def annotate(cycle: Cycle, specialist: RunSpecialist) -> str:
    """Lets a specialist annotate the images whose captions the run rewrites.

    Returns:
        The layer's name, which is the plugin's.
    """
    plugin, recipe = Host().plugin(specialist.plugin), cycle.recipe
    cycle.layers[specialist.plugin] = cycle.run.step(
        f"{specialist.plugin}-layer",
        annotate_step,
        settings=AnnotateSettings(
            plugin=specialist.plugin,
            plugin_version=plugin.version,
            annotate=specialist.settings,
            select=asked_about(cycle, specialist.plugin),
            seed=recipe.seed,
            dtype=recipe.model.dtype,
            engine=recipe.engine,
        ),
        inputs={"model": specialist.model, "data": cycle.data[recipe.recaptioned]},
    )
    cycle.writers[specialist.plugin] = f"{specialist.plugin} specialist"
    return specialist.plugin


def asked_about(cycle: Cycle, plugin: str) -> tuple[float, float]:
    """From where to where in the order of keys by hash; never beyond what is recaptioned, and no more than is used."""
    select = within(cycle.recipe.cycle.part, cycle.recipe.specialists[plugin].select)
    return within(select, (0.0, SHARE)) if cycle.recipe.specialist_data == "share" else select


def origin_of(cycle: Cycle, generalist: TrainedGeneralist) -> Origin:
    """A generalist of a run that is under way, as specialists start from it."""
    recipe = cycle.recipe
    stages = {name: cycle.seen(name, generalist) for name in generalist.stages}
    layers = {f"{recipe.recaptioned}.{name}": step for name, step in cycle.layers.items()}
    for dataset, spec in recipe.data.items():
        layers |= {f"{dataset}.{name}": Path(path) for name, path in spec.layers.items()}
    return Origin(
        generalist.name,
        {name: checkpoint(step) for name, step in generalist.stages.items()},
        {name: stage.mixture for name, stage in stages.items()},
        cycle.data,
        layers,
        recipe.recaptioned,
        cycle.run.folder,
        recipe.model.dtype,
        recipe.data,
        starts_from_the_miniature(recipe.model),
        recipe.engine,
    )


def training_data(specialist: RunSpecialist) -> list[tuple[MixtureEntry, StepResult]]:
    """What a specialist of this run was trained on, subset by subset, without the generalist's own mixture."""
    from vila2.specialist.making import mixture_of

    found = []
    for stage in specialist.job.recipe.stages.values():
        entries, inputs = mixture_of(specialist.job, stage, specialist.made.built)
        found += [
            (entry, inputs[f"data.{entry.dataset}"])
            for entry in entries
            if entry.dataset in specialist.job.subsets
        ]
    return list({entry.dataset: (entry, step) for entry, step in found}.values())
