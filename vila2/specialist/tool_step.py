"""The step in which a tool writes its layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vila2.caption.layer_parts import LayerPart
from vila2.data.mixtures import select_range
from vila2.data.shards import ShardDataset
from vila2.plugin.code_version import code_version
from vila2.progress import Progress
from vila2.recipe.parts.values import FreeValues, Part
from vila2.run.step_kinds import Inputs, step_kind
from vila2.specialist.annotating import summarize_layer
from vila2.specialist.tool_annotating import ToolInUse, annotate_with_tool


class ToolAnnotateSettings(Part):
    """What a tool's layer depends on, besides the images.

    Attributes:
        plugin: name of the plugin.
        plugin_version: version of the plugin.
        backend: what does the work, with its version.
        settings: all settings of the tool.
        select: range of the images to annotate, 0 to 1, in the order of their keys' hashes.
        seed: seed of the choice of images.
    """

    plugin: str
    plugin_version: str
    backend: str
    settings: FreeValues
    select: tuple[float, float]
    seed: int

    @classmethod
    def of(cls, used: ToolInUse, *, select: tuple[float, float], seed: int) -> ToolAnnotateSettings:
        """The settings of the layer that a tool writes."""
        return cls(
            plugin=used.plugin.name,
            plugin_version=code_version(used.plugin),
            backend=used.tool.backend,
            settings=used.job["tool"]["settings"],
            select=select,
            seed=seed,
        )


@step_kind("annotate-with-tool", ToolAnnotateSettings, place="workers")
def annotate_tool(
    folder: Path,
    settings: ToolAnnotateSettings,
    inputs: Inputs,
    progress: Progress,
    part: LayerPart | None = None,
) -> dict[str, Any]:
    """Lets a tool write its layer; the step's folder is the layer.

    Args:
        folder: folder of the step.
        settings: tool, its settings, and the images that it annotates.
        inputs: ``data``, dataset.
        progress: what the job reports to.
        part: part of the layer to write; all by default.

    Returns:
        The counts of :class:`~vila2.specialist.annotating.LayerSummary`, without ``layer``.
    """
    layer = annotate_with_tool(
        ShardDataset.open(inputs["data"]),
        ToolInUse.find(settings.plugin, settings.settings, told_as=f"specialists.{settings.plugin}.set:"),
        folder=folder,
        select=lambda key: select_range(key, *settings.select, settings.seed),
        part=part,
        progress=progress,
    )
    return {name: value for name, value in summarize_layer(layer).items() if name != "layer"}
