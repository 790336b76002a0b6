"""Specialist augmentation: the paper's Figure 1 (b), section 2.2.

specialists = specialise(best, plugin), ...            # fine-tuned from the best round's model
layers      = annotate(specialist, its prompts), ...   # about the images of the pretraining data
merged      = merge(original, best.layer, layers)      # claims checked, one conversation for each image
VILA²       = train(stages, dialogue(merged))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vila2.cycle.run_specialists import (
    RunSpecialist,
    annotate,
    asked_about,
    prepare_specialists,
    specialise,
    training_data,
)
from vila2.cycle.training import Cycle, TrainedGeneralist
from vila2.data.views import View
from vila2.errors import RunError
from vila2.merge.merge_step import MergeSettings, merge as merge_step
from vila2.recipe.parts.cycle import MERGED
from vila2.recipe.parts.data import MixtureEntry
from vila2.run.run_model import named_model
from vila2.run.steps import checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vila2.run.step_files import StepResult

#: The model at the end of the paper's Figure 1 (b).
NAME = "VILA²"


def specialist_augment(cycle: Cycle, best: TrainedGeneralist) -> TrainedGeneralist:
    """Trains the generalist once more, on what specialists made of it say about the images.

    Args:
        cycle: whose recipe names specialists.
        best: the round that goes on.

    Raises:
        RunError: the rounds ended before a layer that ``merge`` names.
    """
    recipe = cycle.recipe
    _check_layers(cycle)
    jobs = prepare_specialists(cycle, best)
    specialists = [specialise(cycle, plugin, jobs.get(plugin)) for plugin in recipe.specialists]
    layers = [annotate(cycle, specialist) for specialist in specialists]
    if recipe.specialist_data == "share":
        beside = {recipe.cycle.stage: share_of_images(cycle)}
        return cycle.train(NAME, best.round, layer=best.layer, view=best.view, beside=beside, steps="final")
    merged = merge(cycle, best, layers)
    view = recipe.merge.view.format(layer=merged)
    if recipe.specialist_data == "merged":
        return cycle.train(NAME, best.round, layer=merged, view=view, steps="final")
    # Controls: the last stage takes the compute that the merged captions would have taken.
    given = specialists if recipe.specialist_data == "sft" else []
    own = [entry for specialist in given for entry in _own_data(cycle, specialist)]
    beside = {list(recipe.stages)[-1]: own}
    return cycle.train(
        NAME, best.round, layer=best.layer, view=best.view, beside=beside, in_place_of=view, steps="final"
    )


def share_of_images(cycle: Cycle) -> list[MixtureEntry]:
    """The images that specialists annotated, with what they say: together where they were asked about the same."""
    together: dict[tuple[float, float], list[str]] = {}
    for plugin in cycle.recipe.specialists:
        together.setdefault(asked_about(cycle, plugin), []).append(plugin)
    return [
        MixtureEntry(dataset=cycle.recipe.recaptioned, view=f"dialogue({','.join(layers)})", select=select)
        for select, layers in together.items()
    ]


def merge(cycle: Cycle, best: TrainedGeneralist, layers: Sequence[str]) -> str:
    """Makes one conversation of what all layers say of an image; see :mod:`vila2.merge`.

    Returns:
        The merged layer's name.
    """
    recipe, spec = cycle.recipe, cycle.recipe.merge
    base = spec.base or (None if spec.arm == "append" else best.layer)
    names = [*([base] if base else []), *layers]
    inputs: dict[str, StepResult | str] = {"data": cycle.data[recipe.recaptioned]}
    inputs |= {f"layer.{name}": cycle.layer(recipe.recaptioned, name) for name in names}
    writer = "rules"
    if spec.writer == "model":
        inputs["model"] = named_model(spec.model) if spec.model else checkpoint(best.model)
        writer = spec.model or best.name
    cycle.layers[MERGED] = cycle.run.step(
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
    cycle.writers[MERGED] = f"{writer}, of {', '.join(['original', *names])}"
    return MERGED


def _check_layers(cycle: Cycle) -> None:
    """Whether the rounds wrote what ``merge`` names, before hours of specialists; the recipe cannot tell when they end."""
    recipe, spec = cycle.recipe, cycle.recipe.merge
    there = [*cycle.layers, *recipe.data[recipe.recaptioned].layers]
    shown = View.parse(spec.view.format(layer=MERGED)).layers
    named = [("view", name) for name in shown if name not in ("original", MERGED, *recipe.specialists)]
    for key, name in [("base", spec.base), *named] if recipe.specialist_data != "share" else ():
        if name and name not in there:
            raise RunError(
                f"merge.{key}: the rounds ended before there was a layer {name!r}; there is: {', '.join(there) or 'none'}",
                hint="name one of these in the recipe and go on; without merge.base it is the best round's",
            )


def _own_data(cycle: Cycle, specialist: RunSpecialist) -> list[MixtureEntry]:
    """What a specialist was trained on, as datasets of the cycle."""
    entries = []
    for entry, built in training_data(specialist):
        name = f"{specialist.plugin}-{entry.dataset}"
        cycle.data[name] = built
        entries.append(entry.model_copy(update={"dataset": name}))
    return entries
