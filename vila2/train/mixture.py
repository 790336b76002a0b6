"""Opens the mixture that a stage trains on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from vila2.data.layers import Layer
from vila2.data.mixtures import Mixture, Portion, ViewedDataset
from vila2.data.shards import ShardDataset
from vila2.data.views import View
from vila2.errors import TrainingError
from vila2.recipe.parts.stage import StageSpec

log = logging.getLogger("vila2.train")


def open_mixture(stage: StageSpec, inputs: Mapping[str, Path], seed: int, name: str = "") -> Mixture:
    """Opens the stage's datasets, each through its view, by weight; logs where there is less than asked for.

    Raises:
        TrainingError: no sample of any dataset can be used.
    """
    parts = []
    for entry in stage.mixture:
        view = View.parse(entry.view)
        layers = {
            layer: Layer.open(inputs[f"layer.{entry.dataset}.{layer}"])
            for layer in view.layers
            if layer != "original"
        }
        dataset = ShardDataset.open(inputs[f"data.{entry.dataset}"])
        low, high = entry.select
        parts.append((ViewedDataset(dataset, view, layers), Portion(entry.weight, entry.count, (low, high))))
    mixture = Mixture(parts, seed)
    if not len(mixture):
        names = ", ".join(f"{entry.dataset} through {entry.view}" for entry in stage.mixture)
        raise TrainingError(f"no usable sample in the mixture: {names}", hint="look with `vila2 data stats`")
    for part, counts in mixture.short.items():
        asked, there = counts["asked"], counts["there"]
        log.warning("stage %s: %s has %d samples, the recipe asks for %d", name, part, there, asked)
    return mixture
