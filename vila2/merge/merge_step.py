"""The step that merges layers into one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vila2.data.layers import Layer, ReadLayer, original_layer
from vila2.data.shards import ShardDataset
from vila2.merge.fate_counts import tally_merge
from vila2.merge.merging import merge_layers
from vila2.progress import Progress
from vila2.recipe.parts.model import Dtype
from vila2.recipe.parts.specialists import MergeSpec
from vila2.run.step_kinds import Inputs, step_kind


class MergeSettings(MergeSpec):
    """Determines a merged layer, besides the images, the layers and the writer's model.

    Attributes:
        layer: name of the layer to write.
        layers: names of the layers in order, without the original.
        seed: seed of order and questions.
        dtype: type of the writer's weights.
    """

    layer: str
    layers: tuple[str, ...]
    seed: int
    dtype: Dtype

    @property
    def spec(self) -> MergeSpec:
        """The recipe's part alone."""
        return MergeSpec(**{name: getattr(self, name) for name in MergeSpec.model_fields})


@step_kind("merge", MergeSettings, digested_as="vila2.cycle.work.merge", place="worker")
def merge(folder: Path, settings: MergeSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Merges layers of a dataset into one; the step's folder is the layer.

    Args:
        folder: folder of the step.
        settings: settings of the merge.
        inputs: ``data``, ``layer.NAME`` for each layer and, with a model as the writer, ``model``.
        progress: display of the images.
    """
    from vila2.engine.registry import open_engine

    dataset = ShardDataset.open(inputs["data"])
    layers: dict[str, ReadLayer] = {"original": original_layer(dataset)}
    layers |= {name: Layer.open(inputs[f"layer.{name}"]) for name in settings.layers}
    engine = None
    if settings.writer == "model":
        engine = open_engine(settings.engine, inputs["model"], dtype=settings.dtype)
    layer = merge_layers(
        dataset,
        layers,
        folder=folder,
        name=settings.layer,
        spec=settings.spec,
        seed=settings.seed,
        engine=engine,
        progress=progress,
    )
    return {"rows": layer.count, **tally_merge(folder, dataset.without_image())}
