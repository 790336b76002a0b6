"""Layers of text that was not written for these images: another image's captions, another dataset's text.

They are controls of the paper's experiment: what mere text volume gives, and what true captions would give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vila2.data.chance import drawn
from vila2.data.layers import Layer, ReadLayer, write_layer
from vila2.data.original_layer import original_annotations
from vila2.data.shards import ShardDataset
from vila2.errors import DataError


def shuffle_layer(dataset: ShardDataset, layer: ReadLayer, *, folder: Path, name: str, seed: int) -> Layer:
    """Gives every image the captions of another one, never its own.

    Args:
        dataset: dataset of the images.
        layer: layer with their captions; an image without any gets none.
        folder: folder of the new layer.
        name: name of the new layer.
        seed: seed of the shuffle.

    Raises:
        DataError: fewer than two images have captions.
    """
    rows = {key: found for key in _keys(dataset) if (found := layer.get(key))}
    keys = sorted(rows, key=lambda key: _place(key, seed))
    if len(keys) < 2:
        raise DataError(
            f"layer {layer.name}: captions of {len(keys)} images cannot be shuffled",
            hint="recaption more images",
        )
    given = dict(zip(keys, [*keys[1:], keys[0]], strict=True))
    moved = {
        key: [replace(row, key=key, detail=f"written for {source}") for row in rows[source]]
        for key, source in given.items()
    }
    made_of = {"shuffled": layer.name, "digest": layer.digest, "seed": seed}
    return write_layer(dataset, lambda key: moved.get(key, ()), folder=folder, name=name, info=made_of)


def text_layer(
    dataset: ShardDataset,
    texts: ShardDataset,
    *,
    folder: Path,
    name: str,
    select: Callable[[str], bool] | None = None,
) -> Layer:
    """Another dataset's original text as a layer about the images of the same keys.

    Args:
        dataset: dataset of the images.
        texts: dataset of the text; an image whose key it lacks gets none.
        folder: folder of the new layer.
        name: name of the new layer.
        select: predicate for the keys that get text; all of them by default.

    Raises:
        DataError: no selected key is in both datasets.
    """
    given = {sample.key: original_annotations(sample.key, sample.turns) for sample in texts}
    rows = {key: given[key] for key in _keys(dataset) if key in given and (not select or select(key))}
    if not rows:
        raise DataError(
            f"dataset {texts.name!r} has text for none of the images of {dataset.name!r}",
            hint="its keys must be the same",
        )
    made_of = {"text_of": texts.name, "digest": texts.digest}
    return write_layer(dataset, lambda key: rows.get(key, ()), folder=folder, name=name, info=made_of)


def _keys(dataset: ShardDataset) -> list[str]:
    return [key for shard_no in range(len(dataset.shards)) for key in dataset.shard_keys(shard_no)]


def _place(key: str, seed: int) -> int:
    return drawn(seed, key, size=32)
