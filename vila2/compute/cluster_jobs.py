"""Jobs on a cluster: one worker that does a whole step, or several that write a layer together."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vila2.compute.cluster_worker import Call, Order, Outcome, WorkerPlace, work
from vila2.compute.desk import News
from vila2.compute.ray_cluster import RayCluster
from vila2.compute.shard_queue import TRIES
from vila2.data.layers import LayerWriter
from vila2.data.shards import ShardDataset
from vila2.errors import RunError, Vila2Error, one_line
from vila2.progress import Progress, Task
from vila2.run.reports import Replay, Report

log = logging.getLogger("vila2.compute")

#: Seconds between two looks at the workers.
_PAUSE = 0.3


def do_alone(
    cluster: RayCluster, call: Call, progress: Progress, *, gpus: float | None = None
) -> Mapping[str, Any]:
    """Lets one worker do the whole of some work. Where it is lost, another one goes on.

    Args:
        cluster: cluster that does it.
        call: the work, which goes on where it was stopped.
        progress: progress of this process.
        gpus: GPUs that it holds; by default as many as any worker.

    Raises:
        RunError: workers were lost again and again.
        Vila2Error: an error that the work raised on purpose.
    """
    order = Order(call, os.getcwd(), cluster.threads, shared=False)
    with ExitStack() as stack:
        desk = stack.enter_context(cluster.desk(()))
        for number in range(1, TRIES + 1):
            reference = cluster.start(work, order, WorkerPlace(number), desk, gpus=gpus)
            stack.callback(cluster.end, [reference])
            replay = Replay(progress)
            stack.callback(replay.end)
            done: list[Any] = []
            while not done:
                done, _ = cluster.ray.wait([reference], timeout=_PAUSE)
                for worker, report in cluster.ray.get(desk.news.remote()).reports:
                    if worker == number:
                        replay.take(report)
            replay.end()
            try:
                return _results(cluster, reference) or {}
            except _Lost as lost:
                why = str(lost)
                log.warning("the worker was lost: %s", why)
    raise RunError(
        f"{TRIES} workers were lost one after the other, the last one so: {why}",
        hint="most often there is too little memory; the same command goes on where they stopped",
    )


def write_layer(
    cluster: RayCluster, dataset: ShardDataset, layer: Path, call: Call, progress: Progress
) -> Mapping[str, Any]:
    """Lets workers write a layer together; the layer is that of one process, byte for byte.

    Args:
        cluster: cluster that does it.
        dataset: dataset that the layer is about.
        layer: folder of the layer.
        call: writes a part of the layer.
        progress: progress of this process.

    Returns:
        What ``call`` returned where it completed the layer.

    Raises:
        RunError: workers are lost before they finish a shard, or shards fail again and again.
        Vila2Error: an error that the work raised on purpose, before any shard.
    """
    shards = len(dataset.shards)
    writer = LayerWriter(layer, layer.name)
    left = [number for number in range(shards) if not writer.has(number)]
    order = Order(call, os.getcwd(), cluster.threads, shared=True)
    with ExitStack() as stack:
        desk = stack.enter_context(cluster.desk(left, layer))
        shown = stack.enter_context(_Shown(progress))
        job = _LayerJob(cluster, order, desk, layer, shown, min(cluster.workers, max(1, len(left))))
        stack.callback(lambda: cluster.end(job.running))
        return job.run()


class _Lost(Exception):
    """A worker or its machine is gone."""


def _results(cluster: RayCluster, reference: Any) -> Mapping[str, Any] | None:
    """What a worker that has ended returned; raises what it raised."""
    failures = cluster.ray.exceptions
    try:
        outcome: Outcome = cluster.ray.get(reference)
    except failures.RayTaskError as error:
        cause = error.cause if isinstance(error.cause, Exception) else error
        log.error("%s", error)
        raise RunError(
            f"a worker failed: {type(cause).__name__}: {one_line(cause)}",
            hint="its traceback is in the log; --verbose shows it",
        ) from None
    except failures.RayError as error:
        raise _Lost(one_line(error).partition(". ")[0]) from None
    if outcome.error is not None:
        raise outcome.error
    return outcome.results


@dataclass(slots=True)
class _LayerJob:
    """A layer that workers write, as the process that began it sees it."""

    cluster: RayCluster
    order: Order
    desk: Any
    layer: Path
    shown: _Shown
    slots: int
    running: dict[Any, WorkerPlace] = field(default_factory=dict)
    begun: int = 0
    in_vain: int = 0
    trouble: Vila2Error | None = None

    def run(self) -> Mapping[str, Any]:
        ray = self.cluster.ray
        while True:
            self._start()
            done, _ = ray.wait(list(self.running), timeout=_PAUSE)
            self._show()
            for reference in done:
                if (results := self._end(self.running.pop(reference), reference)) is not None:
                    return results

    def _start(self) -> None:
        """Fills the slots with workers, as long as there are shards; the last one completes the layer."""
        news = self._show()
        if not news.due and not self.running and news.failing:
            raise self._failing(news.failing)
        wanted = min(self.slots - len(self.running), news.due or (0 if self.running else 1))
        taken = {place.slot for place in self.running.values()}
        free = [slot for slot in range(1, self.slots + 1) if slot not in taken]
        for slot in free[: max(0, wanted)]:
            self.begun += 1
            counts = not self.shown.begun and not any(place.counts for place in self.running.values())
            place = WorkerPlace(self.begun, slot, self.slots, counts, completes=not news.due)
            self.running[self.cluster.start(work, self.order, place, self.desk)] = place

    def _end(self, place: WorkerPlace, reference: Any) -> Mapping[str, Any] | None:
        """Takes back what a worker left; returns the results where it completed the layer."""
        given, unwritten = self.cluster.ray.get(self.desk.end.remote(place.worker))
        try:
            return _results(self.cluster, reference)
        except _Lost as lost:
            self.trouble = RunError(
                f"a worker was lost: {lost}",
                hint="most often there is too little memory: let fewer workers share a machine",
            )
        except Vila2Error as error:
            if not given:
                raise
            self.trouble = error
        again = ", ".join(f"{shard:06d}" for shard in unwritten) or "none"
        log.warning(
            "worker %d/%d: %s; shards to do again: %s", place.slot, self.slots, self.trouble.what, again
        )
        self.in_vain = self.in_vain + 1 if len(given) == len(unwritten) else 0
        if self.in_vain > self.slots + TRIES:
            raise self.trouble
        return None

    def _failing(self, shards: tuple[int, ...]) -> RunError:
        names = ", ".join(f"{shard:06d}" for shard in shards)
        why = self.trouble.what if self.trouble else "another process holds them"
        return RunError(
            f"{self.layer}: {len(shards)} shards could not be written in {TRIES} tries, {names}: {why}",
            hint="all others are written; the same command tries these again",
        )

    def _show(self) -> News:
        news: News = self.cluster.ray.get(self.desk.news.remote())
        for _, report in news.reports:
            self.shown.take(report)
        return news


class _Shown:
    """The progress of all workers as that of one process.

    The worker that counts tells the number of images, and how many were done before.
    """

    def __init__(self, progress: Progress) -> None:
        self.begun = False
        self._progress = progress
        self._replay = Replay(progress)
        self._stack = ExitStack()
        self._task: Task | None = None
        self._left = 0

    def __enter__(self) -> _Shown:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def take(self, report: Report) -> None:
        """Shows a report of a worker."""
        match report:
            case {"task": label, "total": total}:
                if total and not self.begun:
                    self.begun, self._left = True, total
                    whole = str(label).partition(", part ")[0]
                    self._task = self._stack.enter_context(self._progress.task(whole, total))
            case {"advance": count, "note": note} if self._task is not None:
                count = min(count, self._left)  # what was done while the worker counted may come twice
                self._left -= count
                self._task.advance(count, note)
            case {"log": _}:
                self._replay.take(report)
