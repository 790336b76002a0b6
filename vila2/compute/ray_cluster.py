"""A Ray cluster: joining it, and starting workers on it. Ray is imported only where it is asked for."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vila2.compute.desk import Desk
from vila2.errors import RecipeError, RunError
from vila2.recipe.parts.compute import ComputeSpec

log = logging.getLogger("vila2.compute")

#: What Ray would do of its own accord: tell its makers about the use, and send the working folder around.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
#: Bytes for objects on a cluster of our own. Hardly any travel: the data lies in files.
_STORE = 100 * 2**20
#: Seconds within which a cluster answers.
_REACHED = 10.0


@dataclass(frozen=True, slots=True)
class RayCluster:
    """A cluster that this process has joined.

    Attributes:
        ray: module of Ray.
        spec: what its workers hold.
        threads: number of threads of torch in a worker; None leaves it to the worker's environment.
    """

    ray: Any
    spec: ComputeSpec
    threads: int | None = None

    @property
    def gpus(self) -> float:
        """GPUs of a worker."""
        if self.spec.gpus is not None:
            return self.spec.gpus
        return 1.0 if self._has("GPU") else 0.0

    @property
    def workers(self) -> int:
        """Number of workers that write a layer."""
        if self.spec.workers is not None:
            return self.spec.workers
        return max(1, int(self._has("GPU") / self.gpus) if self.gpus else len(self._nodes()))

    def processes(self, wanted: int | str) -> int:
        """Number of processes that train together: ``wanted``, or with "auto" the GPUs of one machine."""
        if wanted != "auto":
            return int(wanted)
        return max(1, *(int(node["Resources"].get("GPU", 0)) for node in self._nodes()))

    def start(self, function: Callable[..., Any], *given: Any, gpus: float | None = None) -> Any:
        """Starts a function in a process of its own on the cluster; returns Ray's reference to its result."""
        options = {
            "num_cpus": self.spec.cpus,
            "num_gpus": self.gpus if gpus is None else gpus,
            "max_retries": 0,  # what is done again is decided here, shard by shard
            "max_calls": 1,  # a fresh process: the memory of the one before is free
            "scheduling_strategy": "SPREAD",
        }
        return self.ray.remote(**options)(function).remote(*given)

    @contextmanager
    def desk(self, shards: Iterable[int], layer: Path | None = None) -> Iterator[Any]:
        """Opens a desk beside this process: it gives out shards, and takes reports."""
        node = self.ray.get_runtime_context().get_node_id()
        affinity = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        made = self.ray.remote(num_cpus=0, scheduling_strategy=affinity)(Desk)
        desk = made.remote(list(shards), layer)
        try:
            yield desk
        finally:
            self.ray.kill(desk)

    def end(self, workers: Iterable[Any]) -> None:
        """Ends workers at once, whatever they do; their files say how far they came."""
        for reference in workers:
            self.ray.cancel(reference, force=True)

    def _has(self, resource: str) -> float:
        return float(self.ray.cluster_resources().get(resource, 0.0))

    def _nodes(self) -> list[Any]:
        return [node for node in self.ray.nodes() if node["Alive"]]


@contextmanager
def joined(spec: ComputeSpec, threads: int | None = None) -> Iterator[RayCluster]:
    """Joins a cluster for the length of a block; a local one is started, and ended with the block.

    Raises:
        RecipeError: the address cannot be used.
        RunError: Ray is not installed, there is no cluster, or it was lost.
    """
    ray = _import_ray(spec.ray or "")
    if ray.is_initialized():  # whoever joined it leaves it too
        yield RayCluster(ray, spec, threads)
        return
    _join(ray, spec.ray or "")
    try:
        yield RayCluster(ray, spec, threads)
    except ray.exceptions.RayError as error:
        raise RunError(
            f"the Ray cluster {spec.ray} was lost: {error}",
            hint="what is written stays; the same command goes on",
        ) from error
    finally:
        ray.shutdown()


def _import_ray(address: str) -> Any:
    if address.startswith("ray://"):
        raise RecipeError(
            f"--ray {address}: Ray Client has no part in the cluster's files",
            hint="give the command on a machine of the cluster, with --ray auto, or use `ray job submit`",
        )
    if find_spec("ray") is None:
        raise RunError(
            "Ray is not installed", hint="pip install 'vila2[ray]', on all machines of the cluster"
        )
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    ray = import_module("ray")
    import_module("ray.util.scheduling_strategies")
    return ray


def _check_reachable(address: str) -> None:
    """Raises RunError where nothing listens at HOST:PORT: Ray would try for ten minutes."""
    host, colon, port = address.rpartition(":")
    if not colon:
        if address in ("auto", "local"):
            return
        raise RecipeError(f"--ray {address}: no address", hint="give auto, local or HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=_REACHED).close()
    except (OSError, ValueError) as error:
        raise RunError(
            f"--ray {address}: {error}", hint="`ray status` on a machine of the cluster shows its address"
        ) from error


def _join(ray: Any, address: str) -> None:
    _check_reachable(address)
    quiet = {"log_to_driver": False, "configure_logging": False}
    own = {"include_dashboard": False, "object_store_memory": _STORE} if address == "local" else {}
    try:
        ray.init(address=address, **quiet, **own)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise RunError(
            f"--ray {address}: {str(error).splitlines()[0]}",
            hint="start a cluster with `ray start --head`, or say --ray local",
        ) from error
    log.info("joined the Ray cluster %s: %s", address, ray.cluster_resources())
