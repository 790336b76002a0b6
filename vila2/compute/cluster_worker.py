"""What a worker of a cluster does, in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from vila2.caption.layer_parts import LayerPart, OtherPartsLeft
from vila2.compute.shard_queue import SharedPart
from vila2.errors import Vila2Error
from vila2.progress import Progress
from vila2.run.reports import Reports

#: Work as a value that can travel: it writes a part of a layer, or with None all that is to do.
Call = Callable[[LayerPart | None, Progress], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """A worker's place in a job.

    Attributes:
        worker: number of the worker; no two workers of a job have the same.
        slot: number of the process among those that write at a time, from 1.
        slots: number of processes that write at a time.
        counts: whether its progress counts for all workers.
        completes: whether it has a look at the layer even where no shard is left to write.
    """

    worker: int
    slot: int = 1
    slots: int = 1
    counts: bool = True
    completes: bool = True


@dataclass(frozen=True, slots=True)
class Order:
    """What the workers of a job are told.

    Attributes:
        call: what to do.
        folder: working folder, from which relative paths lead.
        threads: number of threads of torch; None: as the environment says.
        shared: whether workers share a layer's shards.
    """

    call: Call
    folder: str
    threads: int | None
    shared: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a worker ended.

    Attributes:
        results: results of the work; None where others still have shards to write.
        error: an error that was raised on purpose.
    """

    results: Mapping[str, Any] | None = None
    error: Vila2Error | None = None


def work(order: Order, place: WorkerPlace, desk: Any) -> Outcome:
    """Does the work of one worker."""
    ray = import_module("ray")
    if order.shared and not place.completes and not ray.get(desk.due.remote()):
        return Outcome()  # the cluster had room for this worker too late
    if os.path.isdir(order.folder):
        os.chdir(order.folder)
    if order.threads is not None:
        import torch

        torch.set_num_threads(order.threads)
    reports = Reports(lambda **report: desk.report.remote(place.worker, report))
    reports.log_to("vila2")
    part = None
    if order.shared:
        part = SharedPart(
            place.slot, place.slots, lambda: ray.get(desk.take.remote(place.worker)), place.counts
        )
    try:
        return Outcome(order.call(part, reports))
    except OtherPartsLeft:
        return Outcome()
    except Vila2Error as error:
        return Outcome(error=error)
    finally:
        ray.get(desk.report.remote(place.worker, {}))  # all reports before it have come by then
