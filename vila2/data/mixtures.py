"""Datasets seen through views, and their weighted mixture: what a stage trains on."""

from __future__ import annotations

import difflib
import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vila2.data.layers import Annotation, Layer
from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset
from vila2.data.views import View, apply_view
from vila2.errors import DataError


def select_share(key: str, share: float, seed: int) -> bool:
    """Whether a key belongs to a share of all keys; the same on every machine, and whatever the other keys are.

    A larger share holds every smaller one of the same seed.

    Args:
        key: of a sample.
        share: 0 (none) to 1 (all).
        seed: another seed gives another, independent choice.
    """
    digest = hashlib.blake2b(f"{seed}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2.0**64


class ViewedDataset:
    """The samples of a dataset that a view can use, as the view shows them.

    Attributes:
        dropped: samples that can not be used, by reason: the status of a layer's annotation (such as
            "refusal"), "missing" (the layer has none), "no text" (nothing original).
        lacking: used samples for which a layer gave nothing, by layer: in ``concat`` they keep just the original.

    Raises:
        DataError: the view names a layer that is not given, or a layer belongs to another dataset.
    """

    def __init__(self, dataset: ShardDataset, view: View, layers: Mapping[str, Any] | None = None) -> None:
        layers = layers or {}
        for name in view.layers:
            if name != "original" and name not in layers:
                near = difflib.get_close_matches(name, layers, 1)
                known = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(layers) or 'none'}"
                raise DataError(f"view {view}: no layer {name!r} for dataset {dataset.name!r}", mend=known)
        self.dataset = dataset
        self.view = view
        self.layers: dict[str, Layer] = {name: layers[name] for name in view.layers if name != "original"}
        self.dropped: dict[str, int] = {}
        self.lacking: dict[str, int] = {}
        self._numbers = self._usable()

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> Sample:
        shard_no, _ = self.dataset.locate(int(self._numbers[number]))
        sample = self.dataset[int(self._numbers[number])]
        rows = {name: layer.shard(shard_no).get(sample.key, ()) for name, layer in self.layers.items()}
        viewed = apply_view(self.view, sample, rows)
        if viewed is None:
            raise DataError(
                f"{sample.key}: nothing to train on through {self.view}, although its layers said so before",
                mend="the dataset or a layer was changed; run `vila2 data verify`",
            )
        return viewed

    def __iter__(self) -> Iterator[Sample]:
        return (self[number] for number in range(len(self)))

    def key(self, number: int) -> str:
        """The key of a sample, without reading it."""
        shard_no, place = self.dataset.locate(int(self._numbers[number]))
        return self.dataset.index(shard_no).key(place)

    def keys(self) -> list[str]:
        """The keys of the usable samples, without reading them."""
        return [self.key(number) for number in range(len(self))]

    def _usable(self) -> np.ndarray:
        dropped, lacking, found = Counter[str](), Counter[str](), Counter[str]()
        numbers: list[int] = []
        use_original = "original" in self.view.layers
        for shard_no in range(len(self.dataset.shards)):
            rows = {name: layer.shard(shard_no) for name, layer in self.layers.items()}
            texts = self.dataset.shard_texts(shard_no) & use_original
            if not rows and texts.all():  # the usual case of a view without layers reads no keys
                numbers += self.dataset.shard_range(shard_no)
                continue
            keys = self.dataset.shard_keys(shard_no)
            found.update({name: sum(key in by_key for key in keys) for name, by_key in rows.items()})
            for number, key, text in zip(
                self.dataset.shard_range(shard_no), keys, texts.tolist(), strict=True
            ):
                states = {name: _state(by_key.get(key, ())) for name, by_key in rows.items()}
                if text or "ok" in states.values():
                    numbers.append(number)
                    lacking.update(name for name, state in states.items() if state != "ok")
                else:
                    dropped[next(iter(states.values()), "no text")] += 1
        for name, layer in self.layers.items():
            if layer.count and not found[name]:
                raise DataError(
                    f"layer {name!r} ({layer.folder}) names no sample of dataset {self.dataset.name!r}",
                    mend="it was written for another dataset, or for other shards of this one",
                )
        self.dropped, self.lacking = dict(sorted(dropped.items())), dict(sorted(lacking.items()))
        return np.array(numbers, dtype=np.int64)


def _state(rows: Sequence[Annotation]) -> str:
    if any(row.status == "ok" for row in rows):
        return "ok"
    return rows[0].status if rows else "missing"


class Mixture:
    """Weighted parts as one sequence of samples, part after part; the trainer's sampler shuffles it.

    A weight counts passes: 2 gives every sample of the part twice, 0.5 a fixed half chosen by hash of key and
    seed, 1.5 every sample once and half of them again.

    Args:
        parts: datasets with their weights.
        seed: of the choice for the fractions.

    Raises:
        DataError: a weight that is negative or not finite.
    """

    def __init__(self, parts: Sequence[tuple[ViewedDataset, float]], seed: int) -> None:
        self.parts = tuple(parts)
        self.seed = seed
        chosen: list[np.ndarray] = []
        for part, weight in self.parts:
            if not (math.isfinite(weight) and weight >= 0):
                raise DataError(f"weight {weight} of dataset {part.dataset.name!r}", mend="use a number >= 0")
            passes = int(weight)
            share = weight - passes
            order = [np.arange(len(part), dtype=np.int64)] * passes
            if share:
                picked = [number for number, key in enumerate(part.keys()) if select_share(key, share, seed)]
                order.append(np.array(picked, dtype=np.int64))
            chosen.append(np.concatenate(order) if order else np.empty(0, np.int64))
        self._chosen = chosen
        self._starts = np.cumsum([0, *map(len, chosen)])

    @property
    def counts(self) -> tuple[int, ...]:
        """How many samples each part gives."""
        return tuple(len(order) for order in self._chosen)

    @property
    def dropped(self) -> dict[str, dict[str, int]]:
        """What the parts could not use, by "dataset through view" and reason; JSON-able."""
        return {
            f"{part.dataset.name} through {part.view}": part.dropped for part, _ in self.parts if part.dropped
        }

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, number: int) -> Sample:
        if not -len(self) <= number < len(self):
            raise IndexError(f"sample {number} of a mixture of {len(self)}")
        number %= len(self)
        part_no = int(np.searchsorted(self._starts, number, side="right")) - 1
        return self.parts[part_no][0][int(self._chosen[part_no][number - self._starts[part_no]])]

    def __iter__(self) -> Iterator[Sample]:
        return (self[number] for number in range(len(self)))
