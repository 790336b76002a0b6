"""Layers that nobody wrote for these images: another image's captions, or another dataset's text.

Controls of the paper's experiment: what mere text volume gives, and what true captions would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vila2.data.layers import Annotation, Layer, LayerWriter, ReadLayer
from vila2.data.original_layer import original_annotations
from vila2.data.shards import ShardDataset
from vila2.errors import DataError


def shuffle_layer(dataset: ShardDataset, layer: ReadLayer, *, folder: Path, name: str, seed: int) -> Layer:
    """Gives every image the captions of another one, none its own.

    Args:
        dataset: whose images.
        layer: about them; images that it leaves out stay left out.
        folder, name: of the new layer.
        seed: of who gets whose.

    Raises:
        DataError: fewer than two images have captions.
    """
    rows = {key: found for key in _keys(dataset) if (found := layer.get(key))}
    keys = sorted(rows, key=lambda key: _place(key, seed))
    if len(keys) < 2:
        raise DataError(
            f"layer {layer.name}: captions of {len(keys)} images can not be shuffled",
            mend="recaption more images",
        )
    given = dict(zip(keys, [*keys[1:], keys[0]], strict=True))
    moved = {
        key: [replace(row, key=key, detail=f"written for {source}") for row in rows[source]]
        for key, source in given.items()
    }
    return _write(
        dataset, moved, folder, name, {"shuffled": layer.name, "digest": layer.digest, "seed": seed}
    )


def text_layer(dataset: ShardDataset, texts: ShardDataset, *, folder: Path, name: str) -> Layer:
    """Another dataset's original text as a layer about the images of the same keys.

    Args:
        dataset: whose images.
        texts: the other dataset; a key that it lacks gets no text.
        folder, name: of the new layer.

    Raises:
        DataError: no key of the one is a key of the other.
    """
    given = {sample.key: original_annotations(sample.key, sample.turns) for sample in texts}
    rows = {key: given[key] for key in _keys(dataset) if key in given}
    if not rows:
        raise DataError(
            f"dataset {texts.name!r} has text for none of the images of {dataset.name!r}",
            mend="its keys must be the same",
        )
    return _write(dataset, rows, folder, name, {"text_of": texts.name, "digest": texts.digest})


def _keys(dataset: ShardDataset) -> list[str]:
    return [key for shard_no in range(len(dataset.shards)) for key in dataset.shard_keys(shard_no)]


def _place(key: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{key}".encode()).digest()


def _write(
    dataset: ShardDataset,
    rows: Mapping[str, Sequence[Annotation]],
    folder: Path,
    name: str,
    about: Mapping[str, Any],
) -> Layer:
    writer = LayerWriter(folder, name)
    for shard_no in range(len(dataset.shards)):
        if not writer.has(shard_no):
            keys = dataset.shard_keys(shard_no)
            writer.write_shard(shard_no, [row for key in keys for row in rows.get(key, ())])
    return writer.finish({"layer": name, "dataset": dataset.digest, **about})
