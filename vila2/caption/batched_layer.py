"""Writes a layer batch by batch, so that a job that was killed goes on after the last finished batch."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vila2.caption.layer_parts import LayerPart, WorkerRecord, completing, remove_records, working_on
from vila2.data.annotations import Annotation
from vila2.data.job_files import check_known, check_same_job, keep_job, only_writer
from vila2.data.journal import Journal
from vila2.data.layers import Layer, LayerWriter
from vila2.data.locks import Hold, hold
from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset
from vila2.errors import DataError
from vila2.run.board import Board

if TYPE_CHECKING:
    from vila2.progress import Progress

log = logging.getLogger("vila2.caption")

#: A batch of samples, and the annotations of each of them, in order.
Described = tuple[Sequence[Sample], Sequence[Sequence[Annotation]]]
#: Describes batches of samples in their order; it may take some of them before it gives the first.
DescribeBatches = Callable[[Iterable[Sequence[Sample]]], Iterable[Described]]
#: Number of batches within which alike samples are brought together: their images are read before the first.
_WINDOW = 16
#: Sorts samples so that alike ones are neighbors.
Likeness = Callable[[Sample], tuple[str, int]]
OTHER_SETTINGS = (
    "use the same settings (a --limit among them), another layer name, or delete this layer's folder; "
    "--redo truncated,empty asks again for some captions only"
)


def write_batched_layer(
    dataset: ShardDataset,
    describe: DescribeBatches,
    *,
    folder: Path,
    layer: str,
    job: Mapping[str, Any],
    batch_size: int,
    likeness: Likeness | None = None,
    select: Callable[[str], bool] | None = None,
    part: LayerPart | None = None,
    noted: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    label: str = "caption",
    hint: str = OTHER_SETTINGS,
) -> Layer:
    """Writes a layer about the images of a dataset.

    Killed at any moment and called again, it resumes after the last finished batch. The layer is then the
    same, byte for byte, as that of a job that was never disturbed: batches are cut by place in the dataset,
    and a batch is kept only whole.

    Samples without an image get no annotation, and stay as they are.

    Args:
        dataset: dataset whose images are described.
        describe: function that describes batches of samples.
        folder: folder of the layer: ``DATASET/layers/NAME``, or the folder of a run's step.
        layer: name of the layer, such as "self-1".
        job: what determines the layer (JSON-able), besides its name, the dataset and the selection.
        batch_size: number of images described together, and kept together.
        likeness: what orders the samples of some batches before they are cut, so that alike ones are
            described together; the layer is in the dataset's order all the same.
        select: predicate for the keys to describe; all of them by default.
        part: part of the shards that this process writes, while others write theirs; all by default. Which
            parts there were does not change the layer.
        noted: further facts for the layer's info, which do not determine it.
        progress: display of the images.
        label: word for the work, shown before the layer's name.
        hint: advice for a layer that was begun with other settings.

    Returns:
        The finished layer. Its info counts the samples without an image under ``without_image``, where there
        are any.

    Raises:
        DataError: the folder holds a layer that was begun with other settings, or no selected sample has an
            image.
        OtherPartsLeft: the part is done, and other parts are not.
        RunError: another process writes this layer.
    """
    folder = Path(folder)
    selection = describe_selection(dataset, select)
    whole = {**job, "layer": layer, "dataset": dataset.digest, "selection": selection}
    folder.mkdir(parents=True, exist_ok=True)
    writer = LayerWriter(folder, layer)
    begun = _BegunLayer(writer, dataset, select, whole, dict(noted or {}), hint)
    work = _BatchedWork(dataset, describe, writer, batch_size, likeness, select, part)
    if part is None:
        with only_writer(folder):
            if (finished := begun.look()) is None:
                work.write_all(f"{label} {layer}", progress or Board())
                finished = begun.finish()
            return finished
    if (finished := _finished(folder, whole, hint)) is not None:
        return finished
    with working_on(folder, part) as record:
        if (finished := begun.look()) is None:
            work.write_all(f"{label} {layer}, part {part}", progress or Board(), record)
    if finished is not None:
        return finished
    with completing(writer, part, len(dataset.shards)):
        return begun.look() or begun.finish()


@dataclass(slots=True)
class _BegunLayer:
    """A layer that is being written.

    Attributes:
        whole: all that determines the layer.
        facts: further facts for its info.
    """

    writer: LayerWriter
    dataset: ShardDataset
    select: Callable[[str], bool] | None
    whole: Mapping[str, Any]
    facts: dict[str, Any]
    hint: str

    def look(self) -> Layer | None:
        """Checks or writes the description of the job; gives the layer where it is finished."""
        folder = self.writer.folder
        if (finished := _finished(folder, self.whole, self.hint)) is not None:
            _remove_traces(folder)  # left where a kill came before
            return finished
        check_known(folder, hint=self.hint)
        keep_job(folder / "job.json", self.whole, where=folder, hint=self.hint)
        images = count_images(self.dataset, self.select)
        selected = self.whole["selection"]["count"]
        self.facts |= _without_image(self.dataset, self.whole["layer"], selected, images)
        return None

    def finish(self) -> Layer:
        """Completes the layer, all of whose shards are written."""
        finished = self.writer.finish({**self.whole, **self.facts})
        _remove_traces(self.writer.folder)
        return finished


def _finished(folder: Path, whole: Mapping[str, Any], hint: str) -> Layer | None:
    """The layer in a folder, where it is finished; raises DataError if it was made with other settings."""
    if not (folder / "layer.json").exists():
        return None
    finished = Layer.open(folder)
    check_same_job(finished.info, whole, where=folder, hint=hint)
    return finished


def _remove_traces(folder: Path) -> None:
    """Removes what only an unfinished layer needs."""
    (folder / "job.json").unlink(missing_ok=True)
    remove_records(folder)


def first_keys(dataset: ShardDataset, limit: int | None) -> Callable[[str], bool] | None:
    """Selects the first ``limit`` samples of a dataset; None selects all, as ``select`` means it."""
    return None if limit is None else frozenset(dataset.keys()[:limit]).__contains__


def describe_selection(dataset: ShardDataset, select: Callable[[str], bool] | None) -> dict[str, Any]:
    """The number of samples selected, and a digest of their keys."""
    digest, count = hashlib.sha256(), 0
    for shard_no in range(len(dataset.shards)):
        keys = dataset.shard_keys(shard_no)
        chosen = keys if select is None else list(filter(select, keys))
        digest.update("".join(key + "\0" for key in chosen).encode())
        count += len(chosen)
    return {"count": count, "digest": digest.hexdigest()}


def count_images(
    dataset: ShardDataset, select: Callable[[str], bool] | None, shards: Iterable[int] | None = None
) -> int:
    """The number of samples with an image, of those selected; of some shards, or of all."""
    count = 0
    for shard_no in range(len(dataset.shards)) if shards is None else shards:
        images = dataset.shard_images(shard_no)
        if select is None:
            count += int(np.count_nonzero(images))
        else:
            count += sum(map(bool, compress(images.tolist(), map(select, dataset.shard_keys(shard_no)))))
    return count


def _without_image(dataset: ShardDataset, layer: str, selected: int, images: int) -> dict[str, int]:
    """What a layer's info says of selected samples without an image: their number; nothing where none is."""
    if selected and not images:
        raise DataError(
            f"{dataset.folder}: none of the {selected} samples has an image, so there is nothing to describe",
            hint="recaption a dataset with images",
        )
    if selected == images:
        return {}
    log.info("layer %s: %d samples without an image stay as they are", layer, selected - images)
    return {"without_image": selected - images}


@dataclass(slots=True)
class _UnfinishedShard:
    """A shard that is being described.

    Attributes:
        number: number of the shard.
        numbers: key and number of each of its samples to describe.
        journal: its finished batches.
        rows: annotations by key, as far as they are there.
        hold: lock of the shard, where other parts are written too.
        left: number of samples that are not described yet.
    """

    number: int
    numbers: dict[str, int]
    journal: Journal
    rows: dict[str, list[Annotation]]
    hold: Hold | None
    left: int = 0


@dataclass(slots=True)
class _BatchedWork:
    """The work that is the same for every shard."""

    dataset: ShardDataset
    describe: DescribeBatches
    writer: LayerWriter
    batch_size: int
    likeness: Likeness | None
    select: Callable[[str], bool] | None
    part: LayerPart | None
    record: WorkerRecord | None = None
    holds: set[Hold] = field(default_factory=set)

    @property
    def shards(self) -> range:
        """Numbers of the shards that the progress of this process counts."""
        count = len(self.dataset.shards)
        return range(count) if self.part is None else self.part.shards(count)

    @property
    def due_shards(self) -> Iterable[int]:
        """Numbers of the shards that this process writes; each may be known only when it is asked for."""
        return self.shards if self.part is None else self.part.due(len(self.dataset.shards))

    def write_all(self, label: str, progress: Progress, record: WorkerRecord | None = None) -> None:
        """Writes all shards that are not done."""
        self.record = record
        with progress.task(label, count_images(self.dataset, self.select, self.shards)) as task:
            task.advance(self.finished())  # in one step, which the display leaves out of the rate
            asked: deque[_UnfinishedShard] = deque()
            try:
                for samples, described in self.describe(self._due(asked)):
                    self._keep(asked.popleft(), samples, described)
                    task.advance(len(samples))
            finally:
                while self.holds:
                    self.holds.pop().release()

    def _numbers(self, shard_no: int) -> dict[str, int]:
        """Key and number of each sample of a shard to describe: those that are selected and have an image."""
        images = self.dataset.shard_images(shard_no)
        first = self.dataset.shard_range(shard_no).start
        return {
            key: number
            for key, number in _selected(self.dataset, shard_no, self.select)
            if images[number - first]
        }

    def finished(self) -> int:
        """Number of images that an earlier process described."""
        count = 0
        for shard_no in self.shards:
            if self.writer.has(shard_no):
                count += count_images(self.dataset, self.select, [shard_no])
            else:
                path = self._journal_path(shard_no)
                entries = Journal.read(path) if path.exists() else []
                count += sum(len({row["key"] for row in batch}) for batch in entries)
        return count

    def _due(self, asked: deque[_UnfinishedShard]) -> Iterator[list[Sample]]:
        """The batches that are not described yet; the shard of each is added to ``asked``."""
        for shard_no in self.due_shards:
            held = self._held(shard_no)
            if self.part is not None and held is None:
                continue  # another process writes it
            journal = Journal(self._journal_path(shard_no))
            if self.writer.has(shard_no):
                journal.remove()  # left where a kill came between the two
                self._release(held)
                continue
            shard = _UnfinishedShard(shard_no, self._numbers(shard_no), journal, {}, held)
            for row in (Annotation.from_json(row) for batch in journal.entries for row in batch):
                shard.rows.setdefault(row.key, []).append(row)
            shard.left = len(shard.numbers.keys() - shard.rows.keys())
            if not shard.left:
                self._close(shard)
            for window in _batches(shard.numbers, _WINDOW * self.batch_size):
                # An earlier process with another batch size may have finished a part of a batch.
                for batch in _batches(self._ordered(shard, window), self.batch_size):
                    if due := [key for key in batch if key not in shard.rows]:
                        asked.append(shard)
                        yield [self.dataset[shard.numbers[key]] for key in due]

    def _ordered(self, shard: _UnfinishedShard, window: Sequence[str]) -> Sequence[str]:
        """Some keys of a shard, alike samples beside each other; the same at every start."""
        likeness = self.likeness
        if likeness is None or all(key in shard.rows for key in window):
            return window
        return sorted(window, key=lambda key: likeness(self.dataset[shard.numbers[key]]))

    def _keep(
        self, shard: _UnfinishedShard, samples: Sequence[Sample], described: Sequence[Sequence[Annotation]]
    ) -> None:
        """Keeps the annotations of a batch; writes the shard where it is the last."""
        new = {sample.key: list(own) for sample, own in zip(samples, described, strict=True)}
        shard.journal.append([row.to_json() for own in new.values() for row in own])
        shard.rows |= new
        shard.left -= len(samples)
        if not shard.left:
            self._close(shard)

    def _close(self, shard: _UnfinishedShard) -> None:
        self.writer.write_shard(shard.number, [row for key in shard.numbers for row in shard.rows[key]])
        shard.journal.remove()
        if self.record is not None:
            self.record.add(shard.number, len(shard.numbers))
        self._release(shard.hold)

    def _held(self, shard_no: int) -> Hold | None:
        """Locks a shard where other parts are written too, by its journal; None where another holds it."""
        if self.part is None:
            return None
        held = hold(self._journal_path(shard_no), signed=False, patience=self.part.patience)
        if held is not None:
            self.holds.add(held)
        return held

    def _release(self, held: Hold | None) -> None:
        if held is not None:
            self.holds.discard(held)
            held.release()

    def _journal_path(self, shard_no: int) -> Path:
        return self.writer.folder / f"{shard_no:06d}.partial.jsonl"


def _selected(
    dataset: ShardDataset, shard_no: int, select: Callable[[str], bool] | None
) -> Iterator[tuple[str, int]]:
    """Key and number of each sample of a shard that is selected."""
    for key, number in zip(dataset.shard_keys(shard_no), dataset.shard_range(shard_no), strict=True):
        if select is None or select(key):
            yield key, number


def _batches(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    ordered = list(keys)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]
