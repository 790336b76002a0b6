"""Specialist augmentation: the paper's Figure 1 (b), section 2.2.

specialists = specialize(best, plugin), ...            # fine-tuned from the best round's model
layers      = annotate(specialist, its prompts), ...   # about the images of the pretraining data
merged      = merge(original, best.layer, layers)      # claims checked, one conversation for each image
VILA²       = train(stages, dialogue(merged))
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vila2.cycle.captioning import samples_by
from vila2.cycle.run_specialists import (
    RunSpecialist,
    annotate,
    asked_about,
    name_in_run,
    prepare_specialists,
    specialize,
)
from vila2.cycle.training import Cycle, Lesson, TrainedGeneralist
from vila2.data.views import View
from vila2.errors import RunError
from vila2.merge.choosing_steps import PickSettings, pick
from vila2.merge.merge_step import MergeSettings, merge as merge_step
from vila2.recipe.parts.cycle import MERGED
from vila2.recipe.parts.data import MixtureEntry
from vila2.recipe.passes import repeated
from vila2.run.run_model import named_model
from vila2.run.steps import checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vila2.run.step_files import StepResult

#: The model at the end of the paper's Figure 1 (b).
NAME = "VILA²"
#: The layer of captions that the specialists chose among samples.
VERIFIED = "verified"


def specialist_augment(cycle: Cycle, best: TrainedGeneralist) -> TrainedGeneralist:
    """Makes specialists of the best round's model, and trains the generalist once more, on their layers.

    Args:
        cycle: recipe under way; it names specialists.
        best: model of the best round.

    Returns:
        The final model.

    Raises:
        RunError: ``merge`` names a layer of a round that was not done.
    """
    _check_layers(cycle)
    jobs = prepare_specialists(cycle, best)
    specialists = [specialize(cycle, plugin, jobs.get(plugin)) for plugin in cycle.recipe.specialists]
    layers = [annotate(cycle, specialist) for specialist in specialists]
    lesson = _lesson(cycle, best, specialists, layers)
    return cycle.train(NAME, best.round, lesson, steps="final")


def _lesson(
    cycle: Cycle, best: TrainedGeneralist, specialists: Sequence[RunSpecialist], layers: Sequence[str]
) -> Lesson:
    """What the final model learns.

    ``specialist_data`` of the recipe decides; all but "merged" are controls.
    """
    recipe, as_best = cycle.recipe, Lesson(best.layer, best.view)
    if recipe.specialist_data == "share":
        return replace(as_best, beside={recipe.cycle.stage: share_of_images(cycle)})
    merged = merge(cycle, best, layers)
    view = recipe.merge.view.format(layer=merged)
    if recipe.specialist_data == "merged":
        return Lesson(merged, view)
    # The last stage takes the tokens that the merged captions would have taken, or more.
    last = list(recipe.stages)[-1]
    if recipe.specialist_data == "more-sft":
        return replace(as_best, beside={last: []}, in_place_of=view)
    own = [entry for specialist in specialists for entry in _own_data(cycle, specialist)]
    lesson = replace(as_best, beside={last: own}, in_place_of=view)
    if recipe.specialist_data == "sft-equal-passes":
        passes = [entry for specialist in specialists for entry in _as_often(specialist)]
        return replace(lesson, beside={last: passes}, passes=True)
    if recipe.specialist_data == "sft-equal-total":
        also = [training for specialist in specialists for training in specialist.trainings]
        return replace(lesson, also=also, asked=layers)
    return lesson


def share_of_images(cycle: Cycle) -> list[MixtureEntry]:
    """Returns entries with the images that specialists annotated and what they say.

    Specialists that were asked about the same images share an entry.
    """
    together: dict[tuple[float, float], list[str]] = {}
    for plugin in cycle.recipe.specialists:
        together.setdefault(asked_about(cycle, plugin), []).append(plugin)
    return [
        MixtureEntry(dataset=cycle.recipe.recaptioned, view=f"dialogue({','.join(layers)})", select=select)
        for select, layers in together.items()
    ]


def merge(cycle: Cycle, best: TrainedGeneralist, layers: Sequence[str]) -> str:
    """Makes one conversation of what all layers say about an image; see :mod:`vila2.merge`.

    Args:
        cycle: recipe under way.
        best: model of the best round; its captions join the original ones.
        layers: names of the specialists' layers.

    Returns:
        Name of the merged layer.
    """
    recipe, spec = cycle.recipe, cycle.recipe.merge
    base = spec.base or (None if spec.arm == "append" else best.layer)
    if recipe.cycle.choose == "verified":
        base = verified(cycle, best, layers)
    names = [*([base] if base else []), *layers]
    inputs: dict[str, StepResult | str] = {"data": cycle.images}
    inputs |= {f"layer.{name}": cycle.layer(recipe.recaptioned, name) for name in names}
    writer = "rules"
    if spec.writer == "model":
        inputs["model"] = named_model(spec.model) if spec.model else checkpoint(best.model)
        writer = spec.model or best.name
    layer = cycle.run.step(
        MERGED,
        merge_step,
        settings=MergeSettings(
            **dict(spec) | {"base": base},
            layer=MERGED,
            layers=tuple(names),
            seed=recipe.seed,
            dtype=recipe.model.dtype,
        ),
        inputs=inputs,
    )
    return cycle.keep_layer(MERGED, layer, f"{writer}, of {', '.join(['original', *names])}")


def verified(cycle: Cycle, best: TrainedGeneralist, layers: Sequence[str]) -> str:
    """Lets the best round's model describe the images again, and keeps what the specialists refute least.

    Args:
        cycle: recipe under way.
        best: model of the best round.
        layers: names of the specialists' layers.

    Returns:
        Name of the layer of captions.
    """
    recipe = cycle.recipe
    inputs: dict[str, StepResult | str] = {
        "data": cycle.images,
        "samples": samples_by(cycle, best, recipe.cycle.samples, recipe.cycle.share, "samples-verified"),
    }
    inputs |= {f"layer.{name}": cycle.layer(recipe.recaptioned, name) for name in layers}
    step = cycle.run.step(
        VERIFIED,
        pick,
        settings=PickSettings(layer=VERIFIED, layers=tuple(layers), by="both", absence=recipe.merge.absence),
        inputs=inputs,
    )
    return cycle.keep_layer(VERIFIED, step, f"{best.name}, chosen by {', '.join(layers)}")


def _check_layers(cycle: Cycle) -> None:
    """Checks, before hours of specialists, that the rounds wrote the layers that ``merge`` names.

    A recipe alone cannot tell after which round they end.
    """
    recipe, spec = cycle.recipe, cycle.recipe.merge
    there = [*cycle.layers, *recipe.data[recipe.recaptioned].layers]
    shown = View.parse(spec.view.format(layer=MERGED)).layers
    named = [("view", name) for name in shown if name not in ("original", MERGED, *recipe.specialists)]
    for key, name in [("base", spec.base), *named] if recipe.specialist_data != "share" else ():
        if name and name not in there:
            raise RunError(
                f"merge.{key}: the rounds ended before there was a layer {name!r}; "
                f"there is: {', '.join(there) or 'none'}",
                hint="name one of these in the recipe and go on; without merge.base it is the best round's",
            )


def _as_often(specialist: RunSpecialist) -> list[MixtureEntry]:
    """Returns entries with a specialist's own data, read as often as its trainings read them.

    Raises:
        RunError: a training counts steps, not passes.
    """
    own = {name_in_run(specialist.plugin, entry.dataset) for entry, _ in specialist.trained_on}
    stages = [training.stage for training in specialist.trainings]
    if any(stage.max_steps is not None for stage in stages):
        raise RunError(
            f"specialist {specialist.plugin} is trained for a number of steps (max_steps), so it is not "
            "known how often it reads its data",
            hint="give its stages epochs, or take specialist_data: sft-equal-total",
        )
    return [
        again
        for stage in stages
        for entry in stage.mixture
        if entry.dataset in own
        for again in repeated(entry, stage.epochs)
    ]


def _own_data(cycle: Cycle, specialist: RunSpecialist) -> list[MixtureEntry]:
    """Adds what a specialist was trained on to the datasets of the cycle; returns entries with it."""
    entries = []
    for entry, built in specialist.trained_on:
        name = name_in_run(specialist.plugin, entry.dataset)
        cycle.data[name] = built
        entries.append(entry.model_copy(update={"dataset": name}))
    return entries
