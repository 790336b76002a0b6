"""A local Ray cluster of three nodes, and what the tests let it do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.caption.tiny_llava import picture
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset

COUNT, SHARD = 60, 8
#: One CPU and little memory for each node.
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="session")
def ray() -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    return pytest.importorskip("ray", reason="Ray is not installed: pip install 'vila2[ray]'")


@pytest.fixture(scope="module")
def cluster(ray) -> Iterator[Any]:
    """A cluster of three nodes that this process has joined."""
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    made = Cluster()
    try:
        for _ in range(3):
            _add_node(made)
        made.wait_for_nodes()
        ray.init(address=made.address, log_to_driver=False, configure_logging=False)
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def _add_node(made: Any) -> None:
    """Starts a node. Ray gives it 30 seconds, which a busy machine may exceed."""
    for left in (2, 1, 0):
        try:
            made.add_node(**NODE, include_dashboard=False)
            return
        except Exception:  # Ray raises nothing narrower
            if not left:
                raise


@pytest.fixture
def dataset(tmp_path: Path) -> ShardDataset:
    """Eight shards; every ninth sample has no image."""
    samples = (
        Sample(
            f"{n:04d}",
            (picture(n),) if n % 9 else (),
            (user(ImagePart(0)) if n % 9 else user("?"), assistant("o")),
        )
        for n in range(COUNT)
    )
    write_dataset(tmp_path / "set", samples, name="set", shard_size=SHARD)
    return ShardDataset.open(tmp_path / "set")


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
