"""As much compute by other means: samples in a stage whose tokens make up for those of another training.

A control of the paper's experiment: is it worth letting specialists write about the images, or would their training
data have done as much in SFT? Tokens are those of the samples, image tokens included, without padding.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vila2.errors import TrainingError
from vila2.model.conversation import ConversationEncoder
from vila2.packing.lengths import measure_lengths
from vila2.progress import Progress
from vila2.recipe.parts.data import MixtureEntry
from vila2.recipe.parts.stage import StageSpec
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
    """A stage that reads its own mixture as often as before and, spread over that, so many other samples.

    Args:
        stage: its mixture holds the other datasets too, in the proportions of their weights.
        told: the others' names, and the two stages whose difference in tokens is spent on them.
        inputs: the datasets and layers of all three.
        processor: of the model, which tells how many tokens a sample has.
        seed: of the choice of samples.
        progress: shows the measuring.

    Returns:
        The stage with one epoch, in which nothing is seen in another proportion than asked for.

    Raises:
        TrainingError: there is nothing to spend, or the stage is as long as it is whatever its mixture.
    """
    if stage.max_steps is not None:
        raise TrainingError(
            "a stage of max_steps can not make up for another's compute", hint="give it epochs instead"
        )

    more, less = (_measured(one, inputs, processor, seed, progress) for one in (told.more, told.less))
    budget = more.sum() - less.sum()
    if budget <= 0:
        raise TrainingError(
            f"there is no compute to match: {budget:.0f} tokens", hint="leave the control out"
        )
    others = [entry for entry in stage.mixture if entry.dataset in told.datasets]
    own = [entry for entry in stage.mixture if entry.dataset not in told.datasets]
    if not others:
        times = 1 + budget / _measured(stage, inputs, processor, seed, progress).sum()
        return stage.model_copy(update={"epochs": stage.epochs * times})
    whole = tuple(entry.model_copy(update={"weight": 1.0}) for entry in others)
    once = stage.model_copy(update={"mixture": whole, "epochs": 1.0})
    lengths = _measured(once, inputs, processor, seed, progress)
    sizes = open_mixture(once, inputs, seed).counts
    tokens = [part.sum() for part in np.split(lengths, np.cumsum(sizes)[:-1])]
    share = budget / sum(entry.weight * count for entry, count in zip(others, tokens, strict=True))
    mixture = [again for entry in own for again in _repeated(entry, stage.epochs)]
    for entry, size in zip(others, sizes, strict=True):
        mixture += _so_many(entry, size, round(size * entry.weight * share))
    return stage.model_copy(update={"mixture": tuple(mixture), "epochs": 1.0})


def _measured(
    spec: StageSpec, inputs: Mapping[str, Path], processor: Any, seed: int, progress: Progress
) -> np.ndarray:
    """Tokens of every sample of a stage, times its epochs."""
    encoder = ConversationEncoder(processor, max_length=spec.max_length)
    lengths = measure_lengths(open_mixture(spec, inputs, seed), encoder, spec.style, None, progress)
    return lengths.tokens * spec.epochs


def _repeated(entry: MixtureEntry, times: float) -> list[MixtureEntry]:
    if entry.count is not None:
        return _so_many(entry, entry.count, round(entry.count * times))
    return [entry.model_copy(update={"weight": entry.weight * times})]


def _so_many(entry: MixtureEntry, size: int, count: int) -> list[MixtureEntry]:
    """Whole passes over what an entry reads, which is of this size, and of the rest exactly so many."""
    passes, rest = divmod(count, size)
    if entry.count is not None:
        entries = [entry] * passes
    else:
        entries = [entry.model_copy(update={"weight": float(passes)})] if passes else []
    return entries + ([entry.model_copy(update={"count": rest})] if rest else [])
