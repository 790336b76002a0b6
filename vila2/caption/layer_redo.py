"""A redo of some annotations of a finished layer: new ones are collected beside it, then replace the old."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2.caption.caption_job import describe_job
from vila2.caption.chooser import Chooser, annotate_by, job_of
from vila2.caption.prompts import choose_prompt
from vila2.data.annotations import Annotation, Status
from vila2.data.atomic import write_json_atomic
from vila2.data.job_files import different_settings, only_writer
from vila2.data.journal import Journal
from vila2.data.layers import Layer, LayerWriter
from vila2.data.parsing import read_json
from vila2.data.shards import ShardDataset
from vila2.engine.protocol import Engine, GenerationSettings, Request
from vila2.errors import DataError
from vila2.run.board import Board

if TYPE_CHECKING:
    from vila2.progress import Progress

_JOB = "redo.json"


def redo_layer(
    dataset: ShardDataset,
    engine: Engine,
    *,
    folder: Path,
    statuses: Collection[Status],
    prompts: Sequence[str],
    settings: GenerationSettings,
    seed: int,
    batch_size: int,
    select: Callable[[str], bool] | None = None,
    chooser: Chooser | None = None,
    progress: Progress | None = None,
) -> tuple[Layer, int]:
    """Asks again for the annotations with some marks; the others stay as they are.

    Killed at any moment, the same call resumes it; the layer is the old one until all answers are there. An
    earlier redo with other settings that was stopped is finished first, with the answers it has.

    Args:
        dataset: dataset that the layer is about.
        engine: engine that describes the images.
        folder: folder of the finished layer.
        statuses: marks of the annotations to replace.
        select: predicate for the keys that may be asked about; all of them by default.

    The other arguments are those of :func:`vila2.caption.recaption.recaption`.

    Returns:
        The layer, and the number of annotations replaced.

    Raises:
        DataError: the layer is not finished, is about another dataset, or holds more than one caption per
            image.
        EngineError: the engine cannot do what is asked.
        RunError: another process writes this layer.
    """
    layer = open_for_redo(dataset, folder)
    job = {"statuses": sorted(statuses), **describe_job(engine, prompts, settings, seed), **job_of(chooser)}
    with only_writer(folder):
        work = _Redo(dataset, layer)
        layer, settled = work.end_earlier(job)
        if settled is not None:
            return layer, settled
        work.begin(job)
        due = {number: work.due(number, statuses, select) for number in range(len(dataset.shards))}
        count = sum(map(len, due.values()))
        with (progress or Board()).task(f"redo {layer.name}", count) as task:

            def requests_of(batch: tuple[Journal, list[str]]) -> list[Request]:
                samples = [dataset[dataset.find(key)] for key in batch[1]]
                return [
                    Request(one.key, one.images, choose_prompt(prompts, one.key, seed).text)
                    for one in samples
                ]

            batches = work.batches(due, batch_size)
            for (journal, keys), answers in annotate_by(chooser, engine, batches, requests_of, settings):
                journal.append([row.to_json() for row, *_ in answers])
                task.advance(len(keys))
        return work.settle(job)


def open_for_redo(dataset: ShardDataset, folder: Path) -> Layer:
    """Opens a layer whose annotations can be replaced.

    Raises:
        DataError: they cannot.
    """
    if not (folder / "layer.json").exists():
        raise DataError(
            f"{folder} holds no finished layer to redo",
            hint="finish it first, with the command that began it and without --redo",
        )
    layer = Layer.open(folder)
    if layer.info.get("dataset", dataset.digest) != dataset.digest:
        raise DataError(f"{folder} is about another dataset than {dataset.folder}", hint="name that dataset")
    if "settings" not in layer.info or {"also", "attempts", "reader", "plugin"} & layer.info.keys():
        raise DataError(
            f"layer {layer.name} was not written by `vila2 recaption`, so it cannot be redone",
            hint="run again what wrote it, under another name",
        )
    return layer


class _Redo:
    """The files of a redo beside those of the layer."""

    def __init__(self, dataset: ShardDataset, layer: Layer) -> None:
        self.dataset, self.layer, self.folder = dataset, layer, layer.folder

    def journal(self, shard_no: int) -> Journal:
        """The new annotations of a shard."""
        return Journal(self.folder / f"{shard_no:06d}.redo.jsonl")

    def batches(self, due: Mapping[int, list[str]], size: int) -> Iterator[tuple[Journal, list[str]]]:
        """The keys to ask about in batches of this size, each with the journal of its shard."""
        for number, keys in due.items():
            journal = self.journal(number)  # once for each shard: it is read whole
            for start in range(0, len(keys), size):
                yield journal, keys[start : start + size]

    def end_earlier(self, job: Mapping[str, Any]) -> tuple[Layer, int | None]:
        """Finishes an earlier redo that was stopped, unless it is this one.

        Returns:
            The layer, and the number of annotations replaced where this redo had only files left to remove.
        """
        path = self.folder / _JOB
        if not path.exists():
            return self.layer, None
        earlier = read_json(path, hint="delete it to give the redo up")
        is_this = earlier["job"] == dict(job)
        # Another digest: it was stopped after the layer was written, before the other files were removed.
        if earlier["of"] != self.layer.digest:
            count = sum(len(rows) for rows in self._new().values())
            self._remove()
            return self.layer, count if is_this else None
        if not is_this:
            self.settle(earlier["job"])
        return self.layer, None

    def begin(self, job: Mapping[str, Any]) -> None:
        """Records the job before the first answer."""
        write_json_atomic(self.folder / _JOB, {"of": self.layer.digest, "job": dict(job)})

    def due(
        self, shard_no: int, statuses: Collection[Status], select: Callable[[str], bool] | None
    ) -> list[str]:
        """The keys of a shard to ask about."""
        had = {row["key"] for batch in self.journal(shard_no).entries for row in batch}
        found = []
        for key, rows in self.layer.shard(shard_no).items():
            if len(rows) > 1:
                raise DataError(
                    f"layer {self.layer.name}, {key}: {len(rows)} annotations of one image",
                    hint="only a layer with one caption per image can be redone",
                )
            if rows[0].status in statuses and key not in had and (select is None or select(key)):
                found.append(key)
        return found

    def settle(self, job: Mapping[str, Any]) -> tuple[Layer, int]:
        """Puts the new annotations into their places; doing it twice has the same result."""
        writer, new = LayerWriter(self.folder, self.layer.name), self._new()
        for shard_no, rows in new.items():
            old = [row for found in self.layer.shard(shard_no).values() for row in found]
            writer.write_shard(shard_no, [rows.get(row.key, row) for row in old])
        count = sum(map(len, new.values()))
        if count:
            record = {
                "statuses": job["statuses"],
                "captions": count,
                **different_settings(self.layer.info, job),
            }
            info = {**self.layer.info, "redone": [*self.layer.info.get("redone", []), record]}
            self.layer = writer.finish(info)
        self._remove()
        return self.layer, count

    def _new(self) -> dict[int, dict[str, Annotation]]:
        numbers = (int(path.name.partition(".")[0]) for path in sorted(self.folder.glob("[0-9]*.redo.jsonl")))
        return {number: dict(self._rows(number)) for number in numbers}

    def _rows(self, shard_no: int) -> Iterator[tuple[str, Annotation]]:
        for batch in self.journal(shard_no).entries:
            for row in map(Annotation.from_json, batch):
                yield row.key, row

    def _remove(self) -> None:
        # The job goes last: journals without it would be taken for a redo under way.
        for path in self.folder.glob("[0-9]*.redo.jsonl"):
            path.unlink()
        (self.folder / _JOB).unlink(missing_ok=True)
