"""Workers of a local Ray cluster write the layer of one process, byte for byte, whatever is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.compute.conftest import content
from tests.compute.layers import write
from tests.engine.unruly_server import Reply, serving
from vila2.caption.layer_parts import read_workers
from vila2.compute.cluster_jobs import write_layer
from vila2.compute.ray_cluster import joined
from vila2.data.shards import ShardDataset
from vila2.recipe.parts.compute import ComputeSpec
from vila2.run.board import Board

pytestmark = pytest.mark.slow  # a cluster of three nodes begins in 20 seconds


@pytest.fixture
def server() -> Iterator[str]:
    with serving(lambda prompt, before: Reply(delay=0.1)) as running:
        yield running.url


def write_on(cluster: ComputeSpec, dataset: ShardDataset, layer: str, url: str) -> dict[str, bytes]:
    folder = dataset.folder / "layers" / layer
    with joined(cluster) as workers:
        results = write_layer(workers, dataset, folder, partial(write, dataset.folder, layer, url), Board())
    assert results["captions"] == sum(len(one.images) for one in dataset)
    return content(folder)


def when_begun(folder: Path, shards: int, do: Callable[[], None]) -> threading.Thread:
    """Does something as soon as so many shards of a layer are written, in a thread of its own."""

    def watch() -> None:
        deadline = time.monotonic() + 120
        while len(list(folder.glob("0*.parquet"))) < shards:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        do()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_any_number_of_workers_writes_the_layer_of_one_process(cluster, dataset, server) -> None:
    write(dataset.folder, "alone", server)
    expected = content(dataset.folder / "layers" / "alone")
    for workers in (1, 2, 4):
        spec = ComputeSpec(ray="auto", workers=workers)
        assert write_on(spec, dataset, f"workers-{workers}", server) == expected


def test_a_killed_worker_costs_its_shards_alone(cluster, dataset, server) -> None:
    write(dataset.folder, "alone", server)
    folder, killed = dataset.folder / "layers" / "shared", []

    def kill() -> None:
        worker = next(one for one in read_workers(folder) if one.works)
        os.kill(worker.pid, signal.SIGKILL)
        killed.append(worker.pid)

    thread = when_begun(folder, 2, kill)
    found = write_on(ComputeSpec(ray="auto", workers=2), dataset, "shared", server)
    thread.join(5)
    assert killed and found == content(dataset.folder / "layers" / "alone")


def test_a_node_that_is_taken_away_costs_its_shards_alone(cluster, dataset, server) -> None:
    write(dataset.folder, "alone", server)
    folder, gone = dataset.folder / "layers" / "shared", []

    def take_away() -> None:
        node = cluster.list_all_nodes()[-1]
        cluster.remove_node(node, allow_graceful=False)
        gone.append(node)

    thread = when_begun(folder, 2, take_away)
    found = write_on(ComputeSpec(ray="auto", workers=3), dataset, "shared", server)
    thread.join(30)
    assert gone and found == content(dataset.folder / "layers" / "alone")
