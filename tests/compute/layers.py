"""A layer as workers and the test itself write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vila2.caption.layer_parts import LayerPart
from vila2.caption.recaption import recaption
from vila2.data.shards import ShardDataset
from vila2.engine.protocol import GenerationSettings
from vila2.engine.registry import open_engine
from vila2.progress import Progress, Silent
from vila2.recipe.parts.engine import EngineSpec


def write(
    folder: Path, layer: str, url: str, part: LayerPart | None = None, progress: Progress | None = None
) -> Mapping[str, Any]:
    """Writes a layer, or a part of it, with the answers of a server."""
    dataset = ShardDataset.open(folder)
    options = {"url": url, "concurrency": 2, "look_ahead": 4}
    written = recaption(
        dataset,
        open_engine(EngineSpec(name="openai", options=options), "tiny"),
        folder=folder / "layers" / layer,
        layer="self-1",
        prompts=["simple", "long-v1"],
        settings=GenerationSettings(max_new_tokens=16),
        seed=5,
        batch_size=3,
        part=part,
        progress=progress or Silent(),
    )
    return {"captions": written.count}
