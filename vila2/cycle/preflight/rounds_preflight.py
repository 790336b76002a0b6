"""Checks the rounds before any work: when they stop, and whose captions they rewrite."""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING

from vila2.data.sample import Sample
from vila2.errors import RecipeError
from vila2.evaluate.benchmarks import more_is_better
from vila2.recipe.checks.learning import captions_in_vain
from vila2.recipe.parts.cycle import NO_DATASETS
from vila2.sources.first_samples import some_samples

if TYPE_CHECKING:
    from vila2.recipe.parts.data import DatasetSpec
    from vila2.recipe.recipe import Recipe

log = logging.getLogger("vila2.cycle")

#: Number of samples that are looked at, since not every document has several images.
_LOOKED_AT = 20


def check_rounds(recipe: Recipe) -> None:
    """Checks that the rounds of a valid recipe can do their work.

    The log warns where a recipe asks for captions that nothing is trained on, or for captions of whole
    documents.

    Raises:
        RecipeError: the measure cannot tell when to stop, no sample has an image, or samples are whole
            documents and the recipe does not ask for captions of those.
    """
    _check_stopping(recipe)
    if not recipe.cycle.rounds and not recipe.specialists:
        return
    if in_vain := captions_in_vain(recipe.model_dump()):
        log.warning(
            "cycle.share: stage %r trains on %.1f%% of the images that get captions; "
            "where share is the range of its `select`, the others get none",
            recipe.cycle.stage,
            100 * (1 - in_vain),
        )
    _check_some_image(recipe)
    check_images(recipe)


def _check_some_image(recipe: Recipe) -> None:
    """Checks that the dataset has an image to describe at all, however late it comes.

    Raises:
        RecipeError: no sample has an image.
    """
    if not (recipe.cycle.rounds and recipe.cycle.captions in NO_DATASETS) and not recipe.specialists:
        return
    name = recipe.recaptioned
    spec = recipe.data[name]
    looked = some_samples(name, spec)
    if not any(sample.images for sample in islice(looked, _LOOKED_AT)) and not _has_image(spec):
        others = [other for other in recipe.data_in_use if other != name]
        which = f"name the dataset to describe ({', '.join(others)})" if others else "use images"
        raise RecipeError(
            f"cycle.recaption: no sample of {name!r} has an image, so there is nothing to describe",
            hint=f"{which}, or write cycle.rounds: 0 and no specialists",
        )


def _has_image(spec: DatasetSpec) -> bool:
    """Tells whether any sample of a dataset has an image."""
    from vila2.data.shards import ShardDataset
    from vila2.sources import open_source

    if spec.source == "shards":
        dataset = ShardDataset.open(str(spec.path))
        return any(dataset.shard_images(shard_no).any() for shard_no in range(len(dataset.shards)))
    rows = open_source(spec.source, path=spec.path, **spec.options)
    return any(isinstance(row, Sample) and row.images for row in rows)


def _check_stopping(recipe: Recipe) -> None:
    """Checks that more of the measure is better, where that is known before it is measured."""
    if recipe.cycle.saturation is None:
        return
    name, _, measure = recipe.cycle.saturation.measure.partition("/")
    kind = next(benchmark.kind for benchmark in recipe.evaluate if benchmark.name == name)
    if more_is_better(kind, measure) is False:
        why = "more of it is not better" if measure else f"the measures of kind {kind} do not add up"
        raise RecipeError(
            f"cycle.saturation.measure: {recipe.cycle.saturation.measure} cannot say when to stop: {why}",
            hint=f"name a measure of which more is better ({name}/MEASURE, see docs/evaluation.md), or a "
            "benchmark of kind questions or choices",
        )


def check_images(recipe: Recipe) -> None:
    """Checks that samples have one image each.

    Interleaved documents stay as they are (VILA² section 3), unless ``cycle.recaption`` names their dataset.

    Raises:
        RecipeError: samples have several images, and the recipe does not name their dataset.
    """
    name = recipe.recaptioned
    samples = islice(some_samples(name, recipe.data[name]), _LOOKED_AT)
    found = next((sample for sample in samples if len(sample.images) > 1), None)
    if found is None:
        return
    what = (
        f"samples of {name!r} have several images ({found.key} has {len(found.images)}), "
        "and would get one caption for all"
    )
    if recipe.cycle.recaption:
        log.warning("cycle.recaption: %s", what)
        return
    mixture = recipe.stages[recipe.cycle.stage].mixture
    others = sorted({entry.dataset for entry in mixture} - {name})
    raise RecipeError(
        f"cycle.recaption: the stage's first dataset is recaptioned where none is named, but {what}",
        hint=f"write cycle.recaption: {' or '.join(others) or 'NAME'}; write {name} if you mean that",
    )
