"""Reads a layer's answers anew with the plugin as it is now, without a model.

A layer keeps every answer as it was generated, with the host's mark. So an upgraded parser costs minutes and
not a new annotation of all images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vila2.data.annotations import Annotation
from vila2.data.coordinates import CoordinateScheme
from vila2.data.layer_replacement import replacing, restore
from vila2.data.layers import Layer, LayerWriter
from vila2.data.shards import ShardDataset
from vila2.engine.marks import mark
from vila2.engine.protocol import Answer
from vila2.errors import DataError
from vila2.model.coordinate_scheme import scheme_in
from vila2.plugin.code_version import plugin_facts
from vila2.plugin.host import Host
from vila2.progress import Progress
from vila2.run.board import Board
from vila2.specialist.answer_reading import AnswerReader


def reparse_layer(
    dataset: ShardDataset,
    folder: Path,
    plugin: str,
    *,
    model: Path | None = None,
    progress: Progress | None = None,
) -> Layer:
    """Replaces the turns, claims and statuses of a layer by what the present parser makes of its answers.

    The old layer stays as it is until the new one is complete. A killed call is repeated from the start.

    Args:
        dataset: dataset that the layer is about.
        folder: folder of the finished layer.
        plugin: name of the plugin that wrote it.
        model: checkpoint of the specialist, whose files tell how it writes coordinates where the layer does
            not say so; only the tokenizer's settings are read.
        progress: what the job reports to.

    Raises:
        DataError: the layer is not finished, is about other images, is another plugin's, or nobody says how
            its coordinates are written.
        PluginError: the parser fails on too many answers.
    """
    restore(folder)
    layer = Layer.open(folder)
    info = _checked(layer, dataset, plugin)
    scheme = _scheme(layer, model)
    read = AnswerReader(plugin, scheme, layer.count)
    with replacing(folder) as fresh:
        writer = LayerWriter(fresh, layer.name)
        with (progress or Board()).task(f"read {layer.name} anew", layer.count) as task:
            for shard_no in layer.shard_files():
                rows = []
                for key, group in layer.shard(shard_no).items():
                    sample = dataset[dataset.find(key)]
                    rows += [read(sample, _as_generated(row)) for row in group]
                    task.advance(len(group))
                writer.write_shard(shard_no, rows)
        before = {"version": layer.info["plugin"].get("version"), "digest": layer.digest}
        about = plugin_facts(Host().plugin(plugin))
        writer.finish({**info, "plugin": about, "coordinates": scheme.to_json(), "read_before": before})
    return Layer.open(folder)


def _checked(layer: Layer, dataset: ShardDataset, plugin: str) -> Mapping[str, Any]:
    wrote = (layer.info.get("plugin") or {}).get("name")
    author = f"the plugin {wrote!r}" if wrote else "no plugin"
    refusals = {
        f"written by {author}, not by {plugin!r}": wrote != plugin,
        f"about other images than {dataset.folder}": layer.info.get("dataset") != dataset.digest,
        f"{plugin!r} is a tool, which gives no answers to read": "tool" in layer.info,
    }
    for what, refused in refusals.items():
        if refused:
            raise DataError(f"{layer.folder}: {what}", hint="name the layer with --layer, or its dataset")
    return layer.info


def _as_generated(row: Annotation) -> Annotation:
    """An answer with the host's mark, before any parser read it."""
    status = row.mark or row.status
    if row.mark is None and row.status == "empty" and row.text.strip():
        status = mark(Answer(row.text, "stop", row.tokens)).status  # of a version that did not keep the mark
    detail = row.detail if status == row.status else ""
    return replace(row, status=status, detail=detail, turns=None, claims=(), mark=None)


def _scheme(layer: Layer, model: Path | None) -> CoordinateScheme:
    """The form of the coordinates in the answers: the layer says it, or else the model's tokenizer."""
    if "coordinates" in layer.info:
        return CoordinateScheme.from_json(layer.info["coordinates"])
    if model is None or not (model / "tokenizer_config.json").is_file():
        raise DataError(
            f"{layer.folder}: does not say how its coordinates are written",
            hint="--specialist FOLDER names the specialist that wrote it",
        )
    return scheme_in(model) or CoordinateScheme()
