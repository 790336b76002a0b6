"""The options of ``vila2 run`` for several machines, and what a machine does that joins another's run."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from vila2.errors import RecipeError

if TYPE_CHECKING:
    from vila2.recipe.recipe import Recipe
    from vila2.run.board import Board
    from vila2.train.nodes import NodePlace

Nodes = Annotated[
    int | None,
    typer.Option(
        "--nodes",
        min=2,
        help="Number of machines that train each stage together; give each this command. They share the "
        "folders of the run and of its data.",
    ),
]
NodeRank = Annotated[
    int | None,
    typer.Option(
        "--node-rank",
        envvar="SLURM_NODEID",
        help="Number of this machine, from 0. Node 0 does all that is not training.",
    ),
]
Rendezvous = Annotated[
    str | None,
    typer.Option(
        "--rendezvous",
        metavar="HOST:PORT",
        help="An address of node 0, and a free port of it, where all meet.",
    ),
]
NodeTimeout = Annotated[
    float,
    typer.Option("--node-timeout", min=1, help="Number of seconds that a machine may be missing or silent."),
]


def node_place(
    nodes: int | None,
    rank: int | None,
    rendezvous: str | None,
    timeout: float,
    *,
    dry_run: bool,
    on_cluster: bool,
) -> NodePlace | None:
    """The place of this machine among those of a run; None where it is alone.

    Raises:
        RecipeError: the options do not go together.
    """
    if nodes is None:
        if rendezvous is not None:
            raise RecipeError(
                "--rendezvous is given without --nodes", hint="say how many machines meet there"
            )
        return None
    if on_cluster:
        raise RecipeError("--nodes and --ray are two ways to many machines", hint="leave one of them out")
    if dry_run:
        raise RecipeError("--dry-run looks at this machine alone", hint="leave --nodes out")
    from vila2.train.nodes import NodePlace

    return NodePlace.parse(nodes, rank, rendezvous, timeout)


def leading(place: NodePlace | None) -> AbstractContextManager[None]:
    """Within it, stages are trained with the other machines, if there are any."""
    if place is None:
        return nullcontext()
    from vila2.train.nodes import lead

    return lead(place)


def join(place: NodePlace, recipe: Recipe, progress: Board, *, as_json: bool) -> None:
    """Trains every stage of node 0's run with it, until that run ends."""
    from vila2.cycle.improve import use_threads
    from vila2.train.node_follower import follow
    from vila2.train.processes import processes_here

    use_threads(recipe.threads)
    trained = follow(place, processes_here(recipe.processes), progress)
    if as_json:
        typer.echo(json.dumps({"node": place.rank, "stages": trained}))
    else:
        typer.echo(f"node {place.rank} trained {trained} stages with {place.address}; the run has ended")
