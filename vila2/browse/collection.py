"""What is looked at: a dataset, its finished layers by sample number, and the fates of its merges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vila2.data.aligned_rows import AlignedRows, align_layer
from vila2.data.annotations import Annotation
from vila2.data.layers import Layer, OriginalLayer, ReadLayer
from vila2.data.original_layer import original_annotations
from vila2.data.sample import Sample, Turn
from vila2.data.shards import ShardDataset
from vila2.errors import DataError
from vila2.merge.fates import Fate, fates_about
from vila2.run.finding import find_described, open_described


class NumberedRows:
    """A layer's annotations by the number of their sample.

    Until :meth:`align` is done, a sample costs the decoding of its shard's file.

    Args:
        layer: layer to read.
        dataset: dataset that the layer is about.
    """

    def __init__(self, layer: ReadLayer, dataset: ShardDataset) -> None:
        self._layer = layer
        self._dataset = dataset
        self._aligned: AlignedRows | None = None

    def align(self) -> None:
        """Copies the layer into flat arrays, where that is not done.

        Raises:
            DataError: a file of the layer is damaged, or it is another dataset's layer.
        """
        if isinstance(self._layer, Layer) and self._layer.count:
            self._aligned = align_layer(self._layer, self._dataset)

    @property
    def are_quick(self) -> bool:
        """Whether a sample costs no decoding of a whole file."""
        return self._aligned is not None or isinstance(self._layer, OriginalLayer)

    def of(self, number: int, key: str) -> tuple[Annotation, ...]:
        """Reads the annotations of a sample."""
        if self._aligned is not None:
            return self._aligned.rows(number, key)
        if isinstance(self._layer, OriginalLayer):
            return original_annotations(key, self._dataset.without_images(number).turns)
        return self._layer.shard(self._dataset.locate(number)[0]).get(key, ())


@dataclass(frozen=True)
class Collection:
    """A dataset and its layers.

    Attributes:
        place: folder that was named: the dataset's, or a run's.
        dataset: dataset with the images.
        layers: finished layers by name: the original text, the rounds, the specialists, the merged ones.
        rows: annotations of each layer by sample number.
        merges: folders of the layers that hold fates.
        left_out: layers that cannot be shown, each with the reason.
    """

    place: Path
    dataset: ShardDataset
    layers: Mapping[str, ReadLayer]
    rows: Mapping[str, NumberedRows]
    merges: tuple[Path, ...]
    left_out: tuple[str, ...]

    def key(self, number: int) -> str:
        """Gives the key of a sample."""
        shard_no, at = self.dataset.locate(number)
        return self.dataset.index(shard_no).key(at)

    def turns(self, name: str, row: Annotation, sample: Sample) -> Sequence[Turn]:
        """Gives the turns of an annotation, which hold its boxes; none where it is text alone."""
        return sample.turns if name == "original" else row.turns or ()

    def fates(self, number: int, key: str) -> list[Fate]:
        """Reads what the merges decided about a sample."""
        shard_no, _ = self.dataset.locate(number)
        return [fate for folder in self.merges for fate in fates_about(folder, shard_no, key)]


def open_collection(
    source: Path, names: Sequence[str], dataset: str | None = None, *, without: str = ""
) -> Collection:
    """Opens a dataset, or that of a run, with its layers; no sample is read.

    Args:
        source: folder of a dataset or a run.
        names: names of the layers; empty for all that are finished.
        dataset: name of the run's dataset; by default the one that is recaptioned.
        without: name of a layer that is shown in another way, so that "all" leaves it out.

    Raises:
        DataError: there is no dataset, or no such layer.
        RunError: the run has no such dataset.
    """
    opened, folders = find_described(source, dataset)
    left_out = []
    if not names:
        names = ["original"]
        for name, folder in folders.items():
            if name == without:
                continue
            try:
                Layer.open(folder)
                names.append(name)
            except DataError as error:
                left_out.append(error.what)
    opened, found = open_described(source, names, dataset)
    merged = [name for name in found if name in folders and (folders[name] / "fates").is_dir()]
    layers = {name: found[name] for name in sorted(found, key=lambda name: _place(name, merged))}
    rows = {name: NumberedRows(layer, opened) for name, layer in layers.items()}
    merges = tuple(folders[name] for name in layers if name in merged)
    return Collection(source, opened, layers, rows, merges, tuple(left_out))


def _place(name: str, merged: Sequence[str]) -> tuple[int, str]:
    """The order of a reader: the human text, the rounds, the specialists, what was made of them all."""
    rank = 0 if name == "original" else 3 if name in merged else 1 if name.startswith("self-") else 2
    return rank, name
