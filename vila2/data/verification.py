"""Checks a dataset for damage: bytes, images, indexes, keys, and the layers beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vila2.data.images import decode_image
from vila2.data.layers import Annotation, Layer
from vila2.data.offset_index import OffsetIndex, index_tar
from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset, file_sha256
from vila2.errors import DataError
from vila2.progress import Task


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is wrong.

    Attributes:
        where: path of the damaged file or folder.
        what: description of the damage.
    """

    where: str
    what: str

    @classmethod
    def told_by(cls, error: DataError, where: str) -> Damage:
        """Makes one of an error, which may name the place itself."""
        return cls(where, error.what.removeprefix(f"{where}: "))


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a check.

    Attributes:
        samples: number of samples that were checked.
        images: number of images that were checked.
        layers: names of the layers that were checked.
        problems: everything that is wrong.
    """

    samples: int
    images: int
    layers: tuple[str, ...]
    problems: tuple[Damage, ...]


def verify_dataset(
    folder: Path | str, *, layers: Sequence[Path] = (), progress: Task | None = None
) -> Verification:
    """Reads and checks all of a dataset and its layers.

    The check computes all digests again, decodes every image, and compares the offset indexes with the tars.
    Keys must be unique, and layers must be about samples of the dataset.

    Args:
        folder: path that :meth:`ShardDataset.open` opens.
        layers: folders of layers, besides those in the dataset's own ``layers``.
        progress: task that advances by one for every sample.
    """
    try:
        dataset = ShardDataset.open(folder)
    except DataError as error:
        return Verification(0, 0, (), (Damage.told_by(error, str(folder)),))
    problems: list[Damage] = []
    seen: dict[str, str] = {}
    images = 0
    for shard_no in range(len(dataset.shards)):
        try:
            problems += _shard_problems(dataset, shard_no, seen)
            for sample in _samples(dataset, shard_no, problems):
                images += len(sample.images)
                problems += _image_problems(dataset.shard_place(shard_no), sample)
                if progress is not None:
                    progress.advance(1)
        except DataError as error:
            problems.append(Damage.told_by(error, dataset.shard_place(shard_no)))
    listed = {path.name for path in dataset.paths}
    if dataset.own:
        extra = sorted(path for path in (dataset.folder / "shards").glob("*.tar") if path.name not in listed)
        problems += [Damage(str(path), "dataset.json does not know this tar") for path in extra]
    folders = [path for path in sorted((dataset.folder / "layers").glob("*")) if path.is_dir()]
    names = []
    for path in (*folders, *layers):
        names.append(path.name)
        problems += layer_problems(path, dataset)
    return Verification(len(dataset), images, tuple(names), tuple(problems))


def _shard_problems(dataset: ShardDataset, shard_no: int, seen: dict[str, str]) -> Iterator[Damage]:
    path, info, place = dataset.paths[shard_no], dataset.shards[shard_no], dataset.shard_place(shard_no)
    with dataset.whole_shard(shard_no) as tar:
        sha256 = file_sha256(tar)
        if sha256 != info.sha256:
            yield Damage(place, f"the content changed: sha256 is {sha256}, was {info.sha256}")
        index, fresh = dataset.index(shard_no), index_tar(tar, foreign=not dataset.own)
    for refused in fresh.refused:
        yield Damage(refused.where, f"{refused.reason}: {refused.key!r}, {refused.detail}")
    if not _same(index, fresh):
        yield Damage(f"{place.rpartition('.')[0]}.index", "differs from the tar; delete it, it is made anew")
    if len(index) != info.count:
        yield Damage(place, f"holds {len(index)} samples, dataset.json says {info.count}")
    for key in index.keys():  # noqa: SIM118 - no dict
        if key in seen:
            yield Damage(place, f"key {key!r} is also in {seen[key]}")
        seen[key] = path.name


def _same(index: OffsetIndex, other: OffsetIndex) -> bool:
    if (index.blob, index.extensions) != (other.blob, other.extensions):
        return False
    names: tuple[str, ...] = ("first", "offsets", "sizes", "codes", "texts", "ends")
    if index.crcs is not None and other.crcs is not None:
        names += ("crcs",)
    return all(np.array_equal(getattr(index, name), getattr(other, name)) for name in names)


def _samples(dataset: ShardDataset, shard_no: int, problems: list[Damage]) -> Iterator[Sample]:
    for number in dataset.shard_range(shard_no):
        try:
            yield dataset[number]
        except DataError as error:
            problems.append(Damage.told_by(error, dataset.shard_place(shard_no)))


def _image_problems(place: str, sample: Sample) -> Iterator[Damage]:
    for number, data in enumerate(sample.images):
        try:
            decode_image(data, where=f"sample {sample.key!r}, image {number}")
        except DataError as error:
            yield Damage.told_by(error, place)


def layer_problems(folder: Path, dataset: ShardDataset) -> list[Damage]:
    """Checks a layer, by itself and as a layer of this dataset."""
    try:
        layer = Layer.open(folder)
    except DataError as error:
        return [Damage.told_by(error, str(folder))]
    problems: list[Damage] = []
    statuses: Counter[str] = Counter()
    for shard_no, (path, sha256) in layer.shard_files().items():
        if file_sha256(path) != sha256:
            problems.append(Damage(str(path), "the content changed since the layer was finished"))
        if shard_no >= len(dataset.shards):
            problems.append(Damage(str(path), f"the dataset has no shard {shard_no}"))
            continue
        try:
            rows = layer.shard(shard_no)
        except DataError as error:
            problems.append(Damage.told_by(error, str(path)))
            continue
        statuses.update(row.status for group in rows.values() for row in group)
        unknown = _unknown_keys(rows, dataset, shard_no)
        if unknown:
            named = ", ".join(map(repr, unknown[:3])) + (" ..." if len(unknown) > 3 else "")
            problems.append(Damage(str(path), f"{len(unknown)} keys are not in shard {shard_no}: {named}"))
    if not problems and dict(statuses) != layer.statuses:
        problems.append(
            Damage(str(folder), f"layer.json counts {layer.statuses}, its files {dict(statuses)}")
        )
    return problems


def _unknown_keys(
    rows: Mapping[str, Sequence[Annotation]], dataset: ShardDataset, shard_no: int
) -> list[str]:
    known = set(dataset.shard_keys(shard_no))
    return [key for key in rows if key not in known]
