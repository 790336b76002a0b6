"""Where the work of a run is done, other than in its own process."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vila2.recipe.parts.values import Count, Number, Part, Text


class ComputeSpec(Part):
    """A cluster, and what each of its workers holds. Nothing here changes what a step gives."""

    ray: Text | None = Field(
        default=None,
        description="Address of a Ray cluster that does the work. `auto`: the one that this machine belongs "
        "to. `local`: one on this machine, for the length of the run. HOST:PORT: another one. By default all "
        "work is done in this process",
        examples=["auto"],
    )
    workers: Count | None = Field(
        default=None,
        description="Workers that write a layer together; by default one for each GPU, or for each machine "
        "where there are no GPUs",
    )
    gpus: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="GPUs of a worker; by default 1 where the cluster has GPUs"
    )
    cpus: Count = Field(default=1, description="CPU cores of a worker, and threads of its computations")
