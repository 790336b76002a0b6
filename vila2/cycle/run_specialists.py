"""The specialists of a run: the paper's Figure 1 (b), section 2.2, up to their layers.

specialist = specialize(best, plugin)           # from the best round's checkpoint
layer      = annotate(specialist, prompts)      # the same images, the plugin's task prompts
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vila2.cycle.training import Cycle, OtherTraining, TrainedGeneralist
from vila2.errors import RecipeError, Vila2Error
from vila2.plugin.code_version import code_version
from vila2.plugin.host import Host
from vila2.plugin.tools import Tool
from vila2.recipe.checks.learning import within
from vila2.recipe.parts.data import MixtureEntry
from vila2.recipe.parts.stage import StageSpec
from vila2.recipe.specialist_recipe import AnnotateSpec
from vila2.run.step_files import StepResult
from vila2.run.steps import checkpoint
from vila2.specialist.annotate_step import AnnotateSettings, annotate as annotate_step
from vila2.specialist.made import MadeSpecialist
from vila2.specialist.making import make, mixture_of, training_subset
from vila2.specialist.origin import Origin, starts_from_the_miniature
from vila2.specialist.specialist_job import Job, prepare_job
from vila2.specialist.tool_annotating import ToolInUse
from vila2.specialist.tool_step import ToolAnnotateSettings, annotate_tool

#: Share of the images that the paper's Table 3 shows once more, with a specialist's captions.
SHARE = 0.05

#: Entry of a mixture and the dataset that it names.
TrainingData = tuple[MixtureEntry, StepResult]


@dataclass(frozen=True, slots=True)
class RunSpecialist:
    """A specialist of the run.

    Attributes:
        plugin: name of the plugin, and of the specialist's layer.
        asked: checkpoint of the specialist, and how it is asked; or a tool, which is not trained.
        trained_on: the plugin's data that this run trained it on; none where it was made before.
        trainings: stages that this run trained it in. The plugin's own datasets have their names in the run,
            as :func:`name_in_run` gives them.
    """

    plugin: str
    asked: tuple[StepResult, AnnotateSpec] | ToolInUse
    trained_on: tuple[TrainingData, ...] = ()
    trainings: tuple[OtherTraining, ...] = ()


def prepare_specialists(cycle: Cycle, best: TrainedGeneralist) -> dict[str, Job]:
    """Checks what the run's specialists will be made of.

    Tools, and specialists that were made before, need nothing more.

    Args:
        cycle: recipe under way.
        best: generalist that they start from.

    Returns:
        The jobs by plugin.

    Raises:
        Vila2Error: the recipe or the data of a plugin is wrong.
    """
    brought = [name for name, use in cycle.recipe.specialists.items() if use.made]
    if brought and cycle.recipe.specialists_in_sft:
        raise RecipeError(
            f"specialists.{brought[0]} was made before, so the data it was trained on is not here to go "
            "straight into SFT",
            hint=f"leave out specialists.{brought[0]}.made, or {_into_sft(cycle)}",
        )
    origin, seed = origin_of(cycle, best), cycle.recipe.seed
    jobs: dict[str, Job] = {}
    wrong: list[tuple[str, Vila2Error]] = []
    for name, use in cycle.recipe.specialists.items():
        if use.made:
            continue
        try:
            if tool_of(cycle, name):
                continue
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
    """Raises the errors of several specialists as one error. A single one keeps its type.

    Args:
        wrong: places in the recipe, and their errors.
    """
    if not wrong:
        return
    place, first = wrong[0]
    if len(wrong) == 1:
        raise type(first)(f"{place}: {first.what}", hint=first.hint) from first
    shown = [f"{place}: {error.what}" + (f" ({error.hint})" if error.hint else "") for place, error in wrong]
    lines = "\n".join(shown).replace("\n", "\n  ")
    raise RecipeError(
        f"{len(wrong)} specialists cannot be made\n  {lines}",
        hint="nothing was run; fix them and give the command again",
    ) from first


def specialize(cycle: Cycle, plugin: str, job: Job | None) -> RunSpecialist:
    """Fine-tunes the generalist that the job names, or takes the specialist that the recipe brings along.

    Args:
        cycle: recipe under way.
        plugin: name of the plugin.
        job: what the specialist is made of; None where the recipe names one that was made before.
    """
    if tool := tool_of(cycle, plugin):
        return RunSpecialist(plugin, tool)
    if job is None:
        found = MadeSpecialist.open(Path(str(cycle.recipe.specialists[plugin].made)), plugin)
        model = cycle.run.existing(f"specialist-{plugin}", found.model)
        return RunSpecialist(plugin, (model, found.annotate))
    made = make(job, cycle.run, steps=f"{plugin}-", processes=cycle.processes)
    trained_on = tuple(_training_data(job, made.built))
    trainings = tuple(_training(plugin, job, stage, made.built) for stage in job.recipe.stages.values())
    return RunSpecialist(plugin, (checkpoint(made.saved), job.recipe.annotate), trained_on, trainings)


def annotate(cycle: Cycle, specialist: RunSpecialist) -> str:
    """Lets a specialist annotate the images whose captions the run rewrites.

    Returns:
        Name of the layer, which is the plugin's.
    """
    name, recipe, select = specialist.plugin, cycle.recipe, asked_about(cycle, specialist.plugin)
    if isinstance(specialist.asked, ToolInUse):
        layer = cycle.run.step(
            f"{name}-layer",
            annotate_tool,
            settings=ToolAnnotateSettings.of(specialist.asked, select=select, seed=recipe.seed),
            inputs={"data": cycle.images},
        )
        return cycle.keep_layer(name, layer, f"{name}, a tool")
    model, asked = specialist.asked
    layer = cycle.run.step(
        f"{name}-layer",
        annotate_step,
        settings=AnnotateSettings(
            plugin=name,
            plugin_version=code_version(Host().plugin(name)),
            annotate=asked,
            select=select,
            seed=recipe.seed,
            dtype=recipe.model.dtype,
            engine=recipe.engine,
        ),
        inputs={"model": model, "data": cycle.images},
    )
    return cycle.keep_layer(name, layer, f"{name} specialist")


def tool_of(cycle: Cycle, plugin: str) -> ToolInUse | None:
    """Returns the tool that a plugin brings, as the recipe sets it; None for a specialist that is trained.

    Raises:
        PluginError: the plugin is not installed, or it is broken.
        RecipeError: the recipe says how to train it, or sets something that it does not have.
    """
    if not isinstance(Host().described(plugin), Tool):
        return None
    use = cycle.recipe.specialists[plugin]
    if told := [key for key in ("recipe", "data", "made") if getattr(use, key)]:
        raise RecipeError(
            f"{told[0]}: {Host().plugin(plugin)} is a tool, which is not trained", hint=f"leave out {told[0]}"
        )
    if cycle.recipe.specialists_in_sft:
        raise RecipeError(
            f"{Host().plugin(plugin)} is a tool, which has no training data to go straight into SFT",
            hint=f"leave out specialists.{plugin}, or {_into_sft(cycle)}",
        )
    return ToolInUse.find(plugin, use.set, told_as="set:")


def _into_sft(cycle: Cycle) -> str:
    """What puts the specialists' data into SFT, for hints."""
    return f"specialist_data: {cycle.recipe.specialist_data}, or the control that sets it"


def asked_about(cycle: Cycle, plugin: str) -> tuple[float, float]:
    """Returns the images that a specialist annotates, as a range in the order of their keys' hashes.

    They lie within the recaptioned images, and are no more than the recipe uses.
    """
    low, high = cycle.recipe.specialists[plugin].select
    select = within(cycle.recipe.cycle.part, (low, high))
    return within(select, (0.0, SHARE)) if cycle.recipe.specialist_data == "share" else select


def origin_of(cycle: Cycle, generalist: TrainedGeneralist) -> Origin:
    """Returns a generalist of the run under way in the form that specialists start from."""
    recipe = cycle.recipe
    stages = {name: cycle.stage_seen_through(name, generalist.view) for name in generalist.stages}
    layers: dict[str, StepResult | Path] = {
        f"{recipe.recaptioned}.{name}": step for name, step in cycle.layers.items()
    }
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


def name_in_run(plugin: str, dataset: str) -> str:
    """Returns the name that a dataset of a plugin's builder has among those of the run."""
    return f"{plugin}-{dataset}"


def _training(plugin: str, job: Job, stage: StageSpec, built: StepResult) -> OtherTraining:
    entries, inputs = mixture_of(job, stage, built)
    names = {entry.dataset: entry.dataset for entry in entries}
    names |= {own: name_in_run(plugin, own) for own in job.subsets}
    mixture = tuple(one.model_copy(update={"dataset": names[one.dataset]}) for one in entries)
    renamed = {f"data.{own}": f"data.{names[own]}" for own in job.subsets}
    return OtherTraining(
        stage.model_copy(update={"mixture": mixture}),
        {renamed.get(key, key): value for key, value in inputs.items()},
    )


def _training_data(job: Job, built: StepResult) -> list[TrainingData]:
    """What the plugin built and a stage trains on, each dataset once; nothing of the generalist's mixture."""
    entries = [entry for stage in job.recipe.stages.values() for entry in mixture_of(job, stage, built)[0]]
    own = {entry.dataset: entry for entry in entries if entry.dataset in job.subsets}
    return [(entry, training_subset(built, name)) for name, entry in own.items()]
