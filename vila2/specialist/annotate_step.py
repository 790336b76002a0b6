"""The step in which a specialist writes its layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from vila2.caption.layer_parts import LayerPart
from vila2.data.mixtures import select_range
from vila2.data.shards import ShardDataset
from vila2.progress import Progress
from vila2.recipe.parts.engine import EngineSpec
from vila2.recipe.parts.model import Dtype
from vila2.recipe.parts.values import Later, Part
from vila2.recipe.specialist_recipe import AnnotateSpec
from vila2.run.step_kinds import Inputs, step_kind
from vila2.specialist.annotating import annotate_dataset, summarize_layer
from vila2.specialist.made import MadeSpecialist


class AnnotateSettings(Part):
    """What a specialist's layer depends on, besides the model and the images.

    Attributes:
        plugin: name of the plugin.
        plugin_version: version of the plugin.
        annotate: how the specialist is asked.
        select: range of the images to annotate, 0 to 1, in the order of their keys' hashes.
        seed: seed of the choice of prompts.
        dtype: type of the weights.
        engine: name of the engine that generates.
    """

    plugin: str
    plugin_version: str
    annotate: AnnotateSpec
    select: tuple[float, float]
    seed: int
    dtype: Dtype
    engine: Annotated[EngineSpec, Later] = EngineSpec()


@step_kind("annotate", AnnotateSettings, digested_as="vila2.cycle.work.annotate", place="workers")
def annotate(
    folder: Path,
    settings: AnnotateSettings,
    inputs: Inputs,
    progress: Progress,
    part: LayerPart | None = None,
) -> dict[str, Any]:
    """Lets a specialist write its layer; see :mod:`vila2.specialist.annotating`.

    Args:
        folder: folder of the step; it is the layer.
        settings: how the specialist is asked, and about which images.
        inputs: ``model``, checkpoint of the specialist; ``data``, dataset.
        progress: what the job reports to.
        part: part of the layer to write; all by default.

    Returns:
        The counts of :class:`~vila2.specialist.annotating.LayerSummary`, without ``layer``.
    """
    from vila2.engine.registry import open_engine

    layer = annotate_dataset(
        ShardDataset.open(inputs["data"]),
        open_engine(settings.engine, inputs["model"], dtype=settings.dtype),
        MadeSpecialist(settings.plugin, inputs["model"], {}),
        folder=folder,
        settings=settings.annotate,
        seed=settings.seed,
        select=lambda key: select_range(key, *settings.select, settings.seed),
        part=part,
        progress=progress,
    )
    return {name: value for name, value in summarize_layer(layer).items() if name != "layer"}
