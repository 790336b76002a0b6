"""Datasets seen through views, and their weighted mixture, which a stage trains on."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from vila2.data.aligned_rows import align_layer
from vila2.data.annotations import STATUSES
from vila2.data.layers import Layer
from vila2.data.portions import Portion, select_range, select_share
from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset
from vila2.data.views import View, apply_view
from vila2.errors import DataError
from vila2.nearest import did_you_mean

__all__ = ["Mixture", "Portion", "ViewedDataset", "select_range", "select_share"]


class ViewedDataset:
    """The samples of a dataset that a view can use, as the view shows them.

    Args:
        dataset: dataset of the samples.
        view: view to apply.
        layers: layers of the dataset by name; those that the view does not name are ignored.

    Attributes:
        dropped: number of samples that cannot be used, by reason: the status of a layer's annotation (such as
            "refusal"), "missing" (the layer has none), or "no text" (there is no original text).
        lacks: whether each used sample lacks an annotation, bool [samples], by layer; without layers that no
            sample lacks.

    Raises:
        DataError: the view names a layer that is not given, or a layer belongs to another dataset.
    """

    def __init__(self, dataset: ShardDataset, view: View, layers: Mapping[str, Layer] | None = None) -> None:
        layers = layers or {}
        for name in view.layers:
            if name != "original" and name not in layers:
                raise DataError(
                    f"view {view}: no layer {name!r} for dataset {dataset.name!r}",
                    hint=did_you_mean(name, layers),
                )
        self.dataset = dataset
        self.view = view
        self.layers: dict[str, Layer] = {name: layers[name] for name in view.layers if name != "original"}
        self.dropped: dict[str, int] = {}
        self.lacks: dict[str, npt.NDArray[np.bool_]] = {}
        self._aligned = {name: align_layer(layer, dataset) for name, layer in self.layers.items()}
        self._numbers = self._usable()

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> Sample:
        place = self._numbers.item(number)
        sample = self.dataset[place]
        rows = {name: layer.rows(place, sample.key) for name, layer in self._aligned.items()}
        viewed = apply_view(self.view, sample, rows)
        if viewed is None:
            raise DataError(
                f"{sample.key}: nothing to train on through {self.view}, although its layers said so before",
                hint="the dataset or a layer was changed; run `vila2 data verify`",
            )
        return viewed

    def __iter__(self) -> Iterator[Sample]:
        return (self[number] for number in range(len(self)))

    def key(self, number: int) -> str:
        """Gives the key of a sample without reading the sample."""
        shard_no, place = self.dataset.locate(int(self._numbers[number]))
        return self.dataset.index(shard_no).key(place)

    def keys(self) -> list[str]:
        """Gives the keys of the usable samples without reading the samples."""
        return [self.key(number) for number in range(len(self))]

    @property
    def lacking(self) -> dict[str, int]:
        """Number of used samples that lack an annotation, by layer; in ``concat`` they keep the original."""
        return {name: int(lacks.sum()) for name, lacks in self.lacks.items()}

    def _usable(self) -> npt.NDArray[np.int64]:
        """Finds the numbers of the usable samples, and counts the others and what is lacking."""
        usable = self._texts()
        states = {name: layer.first_status() for name, layer in self._aligned.items()}
        said = {name: layer.usable() for name, layer in self._aligned.items()}
        for told in said.values():
            usable = usable | told
        numbers = np.flatnonzero(usable)
        self.dropped = _dropped(usable, next(iter(states.values()), None))
        for name, told in sorted(said.items()):
            if not told[numbers].all():
                self.lacks[name] = ~told[numbers]
        return numbers

    def _texts(self) -> npt.NDArray[np.bool_]:
        """Tells of each sample whether the view shows an original text of it, bool [samples]."""
        if "original" not in self.view.layers:
            return np.zeros(len(self.dataset), np.bool_)
        texts = [self.dataset.shard_texts(shard_no) for shard_no in range(len(self.dataset.shards))]
        return np.concatenate([np.zeros(0, np.bool_), *texts])


def _dropped(usable: npt.NDArray[np.bool_], states: npt.NDArray[np.int16] | None) -> dict[str, int]:
    """Counts the samples that cannot be used, by the status of the first layer's first annotation."""
    out = ~usable
    if states is None:
        return {"no text": int(out.sum())} if out.any() else {}
    counts = np.bincount(states[out] + 1, minlength=1 + len(STATUSES))
    named = zip(("missing", *STATUSES), counts.tolist(), strict=True)
    return dict(sorted((status, count) for status, count in named if count))


class Mixture:
    """Portions of several datasets as one sequence of samples, part after part; the trainer shuffles it.

    Args:
        parts: pairs of a dataset and its portion; a number stands for the portion of that weight.
        seed: seed of the choice, where a portion takes only some of the samples.

    Raises:
        DataError: a portion is impossible; the error names the dataset.
    """

    def __init__(self, parts: Sequence[tuple[ViewedDataset, Portion | float]], seed: int) -> None:
        self.parts = tuple((part, _portion(part, how_much)) for part, how_much in parts)
        self.seed = seed
        chosen = [portion.numbers(len(part), part.keys, seed) for part, portion in self.parts]
        self._chosen = chosen
        self._starts = _starts(chosen)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of samples that each part gives."""
        return tuple(len(order) for order in self._chosen)

    @property
    def short(self) -> dict[str, dict[str, int]]:
        """Parts with fewer samples than their count asks for, by "dataset through view"; JSON values."""
        return {
            f"{part.dataset.name} through {part.view}": {"asked": portion.count, "there": count}
            for (part, portion), count in zip(self.parts, self.counts, strict=True)
            if portion.count is not None and count < portion.count
        }

    @property
    def dropped(self) -> dict[str, dict[str, int]]:
        """Number of samples that cannot be used, by "dataset through view" and reason; JSON values."""
        return {
            f"{part.dataset.name} through {part.view}": part.dropped for part, _ in self.parts if part.dropped
        }

    @property
    def lacking(self) -> dict[str, dict[str, int]]:
        """Number of chosen samples that lack a layer, by "dataset through view" and layer; JSON values."""
        counted: dict[str, Counter[str]] = {}
        for (part, _), chosen in zip(self.parts, self._chosen, strict=True):
            own = counted.setdefault(f"{part.dataset.name} through {part.view}", Counter())
            own.update({name: int(lacks[chosen].sum()) for name, lacks in part.lacks.items()})
        return {name: dict(own) for name, own in counted.items() if any(own.values())}

    def without(self, numbers: Sequence[int]) -> Mixture:
        """Copies the mixture without the samples of these numbers; the others keep their order."""
        left = copy.copy(self)
        out = np.isin(np.arange(len(self)), np.asarray(numbers, dtype=np.int64))
        parted = np.split(out, self._starts[1:-1])
        left._chosen = [np.asarray(chosen)[~gone] for chosen, gone in zip(self._chosen, parted, strict=True)]
        left._starts = _starts(left._chosen)
        return left

    def whence(self, number: int) -> tuple[str, str]:
        """Gives "dataset through view" and the key of a sample without reading the sample."""
        part, place = self._place(number)
        return f"{part.dataset.name} through {part.view}", part.key(place)

    def view_of(self, number: int) -> View:
        """Gives the view through which a sample is seen, without reading the sample."""
        return self._place(number)[0].view

    def was_checked(self, number: int) -> bool:
        """Whether a sample's images were decoded when its dataset was written; False for foreign tars."""
        return self._place(number)[0].dataset.own

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, number: int) -> Sample:
        part, place = self._place(number)
        return part[place]

    def _place(self, number: int) -> tuple[ViewedDataset, int]:
        """Finds the part that a sample belongs to, and its number there."""
        count = self._starts[-1]
        if not -count <= number < count:
            raise IndexError(f"sample {number} of a mixture of {count}")
        number %= count
        part_no = bisect_right(self._starts, number) - 1
        return self.parts[part_no][0], self._chosen[part_no].item(number - self._starts[part_no])

    def __iter__(self) -> Iterator[Sample]:
        return (self[number] for number in range(len(self)))


def _starts(chosen: Sequence[npt.NDArray[np.int64]]) -> list[int]:
    """Where the samples of each part begin, and the end."""
    return list(accumulate(map(len, chosen), initial=0))


def _portion(part: ViewedDataset, how_much: Portion | float) -> Portion:
    if isinstance(how_much, Portion):
        return how_much
    try:
        return Portion(weight=how_much)
    except DataError as error:
        raise DataError(f"{error.what} of dataset {part.dataset.name!r}", hint=error.hint) from error
