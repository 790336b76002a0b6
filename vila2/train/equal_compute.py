"""Equal compute by other means: a stage gets as many more samples as match the tokens of another training.

This is a control of the paper's experiment: is it worth letting specialists write about the images, or would
their training data have helped as much in SFT? Tokens are those of the samples, image tokens included,
without padding. What is matched is the last training alone, or also the specialists' trainings and answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vila2.data.layers import Layer
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset
from vila2.errors import TrainingError
from vila2.model.conversation import ConversationEncoder
from vila2.packing.lengths import measure_lengths
from vila2.progress import Progress
from vila2.recipe.parts.stage import StageSpec
from vila2.recipe.passes import repeated, so_many
from vila2.train.mixture import open_mixture
from vila2.train.train_settings import EqualCompute


def with_equal_compute(
    stage: StageSpec,
    told: EqualCompute,
    inputs: Mapping[str, Path],
    processor: Any,
    seed: int,
    progress: Progress,
) -> StageSpec:
    """A stage that reads its own mixture as often as before, and enough samples of other datasets among it.

    Args:
        stage: stage whose mixture also holds the other datasets, in the proportions of their weights.
        told: names of the other datasets, and the two stages whose difference in tokens is spent on them.
        inputs: datasets and layers of all three stages.
        processor: processor of the model, which determines the tokens of a sample.
        seed: seed of the choice of samples.
        progress: display of the measuring.

    Returns:
        The stage with one epoch, which reads everything in the proportions asked for.

    Raises:
        TrainingError: there is nothing to spend, or the stage has a fixed number of steps.
    """
    if stage.max_steps is not None:
        raise TrainingError(
            "a stage with max_steps cannot make up for another stage's compute",
            hint="give it epochs instead",
        )

    others = [entry for entry in stage.mixture if entry.dataset in told.datasets]
    own = [entry for entry in stage.mixture if entry.dataset not in told.datasets]
    if told.passes:
        mixture = [again for entry in own for again in repeated(entry, stage.epochs)]
        return stage.model_copy(update={"mixture": (*mixture, *others), "epochs": 1.0})
    more, less = (_measured(one, inputs, processor, seed, progress) for one in (told.more, told.less))
    budget = more.sum() - less.sum()
    budget += sum(_spent(one, inputs, processor, seed, progress) for one in told.also)
    budget += sum(_written(layer, told, inputs, processor) for layer in told.asked)
    if budget <= 0:
        raise TrainingError(
            f"there is no compute to match: {budget:.0f} tokens", hint="leave the control out"
        )
    if not others:
        times = 1 + budget / _measured(stage, inputs, processor, seed, progress).sum()
        return stage.model_copy(update={"epochs": stage.epochs * times})
    whole = tuple(entry.model_copy(update={"weight": 1.0}) for entry in others)
    once = stage.model_copy(update={"mixture": whole, "epochs": 1.0})
    lengths = _measured(once, inputs, processor, seed, progress)
    sizes = open_mixture(once, inputs, seed).counts
    tokens = [part.sum() for part in np.split(lengths, np.cumsum(sizes)[:-1])]
    share = budget / sum(entry.weight * count for entry, count in zip(others, tokens, strict=True))
    mixture = [again for entry in own for again in repeated(entry, stage.epochs)]
    for entry, size in zip(others, sizes, strict=True):
        mixture += so_many(entry, size, round(size * entry.weight * share))
    return stage.model_copy(update={"mixture": tuple(mixture), "epochs": 1.0})


def _measured(
    spec: StageSpec, inputs: Mapping[str, Path], processor: Any, seed: int, progress: Progress
) -> np.ndarray:
    """Tokens of every sample of a stage, times its epochs."""
    encoder = ConversationEncoder(processor, max_length=spec.max_length)
    lengths = measure_lengths(open_mixture(spec, inputs, seed), encoder, spec.style, None, progress)
    return lengths.tokens * spec.epochs


def _spent(
    spec: StageSpec, inputs: Mapping[str, Path], processor: Any, seed: int, progress: Progress
) -> float:
    """Tokens of a whole training."""
    lengths = _measured(spec, inputs, processor, seed, progress)
    if spec.max_steps is None:
        return float(lengths.sum())
    return float(lengths.mean() / spec.epochs * spec.batch_size * spec.max_steps)


def _written(layer: str, told: EqualCompute, inputs: Mapping[str, Path], processor: Any) -> int:
    """Tokens that the writer of a layer read and wrote: for every row the image, the prompt and the text."""
    dataset = ShardDataset.open(inputs[f"data.{told.images}"])
    encoder, tokens = ConversationEncoder(processor), 0
    for row in Layer.open(inputs[f"layer.{told.images}.{layer}"]).rows():
        image = dataset[dataset.find(row.key)].images[:1]
        turns = (user(ImagePart(), row.prompt), assistant(row.text or "."))
        tokens += encoder.measure(Sample(row.key, image, turns)).tokens
    return tokens
