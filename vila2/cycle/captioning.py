"""The captions of a round: who writes them about the images of the pretraining data (VILA² section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vila2.caption.layer_steps import (
    RecaptionSettings,
    ShuffleSettings,
    TextLayerSettings,
    recaption as recaption_step,
    shuffle,
    text_layer,
)
from vila2.cycle.usable import check_usable
from vila2.recipe.parts.cycle import NO_DATASETS, SHUFFLED, CycleSpec
from vila2.run.run_model import named_model
from vila2.run.steps import checkpoint

if TYPE_CHECKING:
    from vila2.cycle.training import Cycle, TrainedGeneralist
    from vila2.run.step_files import StepResult


def recaption(cycle: Cycle, writer: TrainedGeneralist) -> str:
    """Lets VILA_i write layer self-(i+1) about the images of its own pretraining data.

    ``cycle.captioner`` of the recipe names another writer. Controls take other captions: see
    ``cycle.captions``.

    Args:
        cycle: recipe under way.
        writer: model of the round before.

    Returns:
        Name of the layer to train on.

    Raises:
        RunError: more of the captions are unusable than ``cycle.max_unusable`` allows.
    """
    spec, round = cycle.recipe.cycle, writer.round + 1
    if spec.captions not in NO_DATASETS:
        given = f"given-{round}"
        return cycle.keep_layer(given, _text_of(cycle, spec.captions, given), spec.captions)
    own = f"self-{round}"
    captions = _captions_by(cycle, own, writer)
    if captions.done:
        check_usable(own, captions.results, spec.max_unusable)
    name = spec.captioner or writer.name
    if spec.captions != SHUFFLED:
        return cycle.keep_layer(own, captions, name)
    shuffled = f"shuffled-{round}"
    return cycle.keep_layer(shuffled, _shuffled(cycle, captions, shuffled), f"{name}, about other images")


def samples_by(
    cycle: Cycle, writer: TrainedGeneralist, count: int, share: float | tuple[float, float], step: str
) -> StepResult:
    """All samples of the captions that a model writes about a share of the images, best first.

    Args:
        cycle: recipe under way.
        writer: model that describes the images.
        count: number of samples of each caption.
        share: share of the images, as in ``cycle.share``.
        step: name of the step and of its layer.
    """
    recipe = cycle.recipe
    asked = recipe.cycle.model_copy(update={"share": share})
    return cycle.run.step(
        step,
        recaption_step,
        settings=RecaptionSettings.of(
            asked, layer=step, seed=recipe.seed, dtype=recipe.model.dtype, samples=count
        ),
        inputs={"model": checkpoint(writer.model), "data": cycle.images},
    )


def _captions_by(cycle: Cycle, layer: str, writer: TrainedGeneralist) -> StepResult:
    """Captions that the writer, or the recipe's captioner, writes."""
    recipe, captioner = cycle.recipe, cycle.recipe.cycle.captioner
    return cycle.run.step(
        layer,
        recaption_step,
        settings=RecaptionSettings.of(recipe.cycle, layer=layer, seed=recipe.seed, dtype=recipe.model.dtype),
        inputs={
            "model": named_model(captioner) if captioner else checkpoint(writer.model),
            "data": cycle.images,
        },
    )


def _shuffled(cycle: Cycle, captions: StepResult, layer: str) -> StepResult:
    """The same captions, each given to another image."""
    return cycle.run.step(
        layer,
        shuffle,
        settings=ShuffleSettings(layer=layer, seed=cycle.recipe.seed),
        inputs={"layer": captions, "data": cycle.images},
    )


def _text_of(cycle: Cycle, dataset: str, layer: str) -> StepResult:
    """The text of another dataset, for as many images as VILA_i would write about."""
    settings, share = TextLayerSettings(layer=layer), cycle.recipe.cycle.share
    if share != CycleSpec.model_fields["share"].default:
        settings = TextLayerSettings(layer=layer, share=share, seed=cycle.recipe.seed)
    return cycle.run.step(
        layer, text_layer, settings=settings, inputs={"texts": cycle.data[dataset], "data": cycle.images}
    )
