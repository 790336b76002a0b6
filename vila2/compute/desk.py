"""The desk of a job on a cluster, an actor beside the process that began the job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vila2.compute.shard_queue import ShardQueue
from vila2.data.layers import LayerWriter
from vila2.run.reports import Report


@dataclass(frozen=True, slots=True)
class News:
    """What happened at the desk since it was asked last.

    Attributes:
        due: number of shards to give out.
        failing: shards that are given out no more.
        reports: reports of workers, each with the worker's number.
    """

    due: int
    failing: tuple[int, ...]
    reports: tuple[tuple[int, Report], ...]


class Desk:
    """Gives shards to workers, and keeps their reports until they are read.

    Args:
        shards: numbers of the shards to write.
        layer: folder of the layer; None where no layer is shared.
    """

    def __init__(self, shards: Sequence[int], layer: Path | None) -> None:
        self._queue = ShardQueue(shards)
        self._writer = None if layer is None else LayerWriter(layer, layer.name)
        self._reports: list[tuple[int, Report]] = []

    def take(self, worker: int) -> int | None:
        """Gives a worker its next shard; None where there is none for it."""
        return self._queue.take(worker)

    def due(self) -> int:
        """Number of shards to give out."""
        return len(self._queue)

    def end(self, worker: int) -> tuple[list[int], list[int]]:
        """Takes back what a worker that has ended did not write; returns what it was given, and that."""
        writer = self._writer
        return self._queue.end(worker, lambda shard: writer is not None and writer.has(shard))

    def report(self, worker: int, report: Report) -> None:
        """Keeps a report."""
        self._reports.append((worker, report))

    def news(self) -> News:
        """What happened since the last call."""
        reports, self._reports = self._reports, []
        return News(len(self._queue), tuple(self._queue.failing), tuple(reports))
