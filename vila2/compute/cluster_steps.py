"""The steps of a run, done on a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from vila2.caption.layer_parts import LayerPart
from vila2.compute.cluster_jobs import do_alone, write_layer
from vila2.compute.ray_cluster import RayCluster
from vila2.data.shards import ShardDataset
from vila2.progress import Progress
from vila2.run.step_kinds import Inputs, S, StepKind


@dataclass(frozen=True, slots=True)
class StepsOnCluster:
    """Does each step where its kind says: here, in one worker, or in several.

    Attributes:
        cluster: cluster that does them.
        processes: number of processes that train together.
    """

    cluster: RayCluster
    processes: int

    def __call__(
        self, kind: StepKind[S], folder: Path, settings: S, inputs: Inputs, progress: Progress
    ) -> Mapping[str, Any]:
        """Does the work of a step; see :class:`vila2.run.step_kinds.Executor`."""
        if kind.place == "here":
            return kind(folder, settings, inputs, progress)
        name = kind.work.__module__, kind.work.__qualname__
        call = partial(_do_step, *name, folder, settings.model_dump(mode="json"), dict(inputs))
        if kind.place == "workers":
            return write_layer(self.cluster, ShardDataset.open(inputs["data"]), folder, call, progress)
        training = kind.place == "trainer" and self.cluster.gpus
        gpus = float(self.processes) if training else None
        return do_alone(self.cluster, call, progress, gpus=gpus)


def _do_step(
    module: str,
    name: str,
    folder: Path,
    settings: Mapping[str, Any],
    inputs: Inputs,
    part: LayerPart | None,
    progress: Progress,
) -> Mapping[str, Any]:
    """Does the work of a step in a worker; its kind is found by name, as this process has it."""
    kind: StepKind[Any] = getattr(import_module(module), name)
    # Only kinds that several workers share take a part.
    do = kind if part is None else partial(kind.work, part=part)  # type: ignore[call-arg]
    return do(folder, kind.settings.model_validate(settings), inputs, progress) or {}
