"""The facts of an export: what was written, what was left out, and how its layers were made."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vila2.data.layers import Layer
from vila2.exports.pushed import Pushed
from vila2.merge.fates import count_fates


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What is known of a layer's making.

    Attributes:
        name: name of the layer.
        annotations: number of annotations.
        statuses: number of annotations by status.
        engine: engine that wrote it; "" where none did.
        model: digest of the model.
        plugin: plugin that asked and read, with package and version.
        prompts: prompts that the annotator was given.
        fates: for a merged layer, the number of sentences by fate: "kept", or why one was dropped.
        license: license that the layer states.
        digest: digest of the layer's content.
        made_of: for a merged layer, the digests of the layers that were merged, by name.
    """

    name: str
    annotations: int
    statuses: dict[str, int]
    engine: str = ""
    model: str = ""
    plugin: str = ""
    prompts: list[str] = field(default_factory=list)
    fates: dict[str, int] = field(default_factory=dict)
    license: str = ""
    digest: str = ""
    made_of: dict[str, str] = field(default_factory=dict)


def layer_facts(layer: Layer) -> LayerFacts:
    """Collects what is known of a layer's making."""
    info = layer.info
    plugin = info.get("plugin") or {}
    named = f"{plugin.get('package', '')} {plugin.get('version', '')}" if isinstance(plugin, dict) else plugin
    return LayerFacts(
        layer.name,
        layer.count,
        dict(layer.statuses),
        str(info.get("engine") or ""),
        str(info.get("digest") or ""),
        str(named).strip(),
        [str(prompt) for prompt in _listed(info.get("prompt_texts") or info.get("prompts"))],
        count_fates(layer.folder),
        str(info.get("license") or ""),
        layer.digest,
        made_of(layer),
    )


def made_of(layer: Layer) -> dict[str, str]:
    """The digests of the layers that a merged layer was made of, by name."""
    merged = layer.info.get("layers") if "merge" in layer.info else None
    return dict(merged) if isinstance(merged, dict) else {}


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote.

    Attributes:
        folder: folder of the export.
        format: name of the format.
        view: view that made the conversations.
        coordinates: name of the convention of places.
        samples: number of samples that the view shows.
        rows: number of rows written; a tree gives one for each branch.
        left_out: number of rows or samples that were left out, by reason.
        dropped: number of samples without a usable text, by the status of their annotation.
        converted: number of images that were turned upright, or written in a format that others read.
        dataset: name of the dataset.
        digest: digest of the dataset.
        layers: what is known of the layers.
        sources: what is known of the layers that merged ones were made of, as far as they are still there.
        use: how to open the export.
        pushed: what was put on the hub; None where nothing was.
    """

    folder: Path
    format: str
    view: str
    coordinates: str
    samples: int
    rows: int
    left_out: dict[str, int]
    dropped: dict[str, int]
    converted: int
    dataset: str
    digest: str
    layers: list[LayerFacts]
    sources: list[LayerFacts]
    use: str
    pushed: Pushed | None = None

    def to_json(self) -> dict[str, Any]:
        """Gives the facts as JSON values."""
        told = asdict(self) | {"folder": str(self.folder)}
        if self.pushed is None:
            del told["pushed"]
        return told


def _listed(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else [value] if value else []
