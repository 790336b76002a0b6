"""Training over several machines ("nodes") that share the folder of a run, seen from the first of them.

Node 0 does the run. It keeps a store of torch.distributed at ``HOST:PORT``; the others join it there
(:mod:`vila2.train.node_follower`). For each stage it tells them what to train, and every node starts its
share of the processes. Keys of the store:

    node/RANK           host, processes and version of a node that has joined
    alive/RANK          a count that the node raises every second
    stage/N             orders of the N-th stage and what each node starts
    stopped/N           node 0 gave the stage up
    ended/N/RANK        the node's processes of the stage have ended; why, if they failed
    left/RANK           the node has left, and why
    over                the run has ended; why, if it failed
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import vila2
from vila2.errors import RecipeError, TrainingError
from vila2.train.checkpoints import latest_checkpoint_number
from vila2.train.meeting import meeting_place
from vila2.train.share import Failure, Share, StageOrders, Weight

PAUSE = 1.0  # seconds between two signs of life of a node
_SHORT_SILENCE = 4.0  # of a node, where processes elsewhere have lost their connection
_LOOK_SECONDS = 0.1  # between two looks at the other nodes
_GRACE_SECONDS = 8.0
_FAREWELL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class NodePlace:
    """The place of this machine among those that train together.

    Attributes:
        nodes: number of machines.
        rank: number of this one, from 0.
        host: address of node 0.
        port: port of its store.
        timeout: seconds that a machine may be missing or silent.
    """

    nodes: int
    rank: int
    host: str
    port: int
    timeout: float

    @classmethod
    def parse(cls, nodes: int, rank: int | None, rendezvous: str | None, timeout: float) -> Self:
        """Reads what a user says.

        Raises:
            RecipeError: something is missing or impossible.
        """
        if rank is None or not 0 <= rank < nodes:
            said = "is missing" if rank is None else f"is {rank}"
            raise RecipeError(
                f"--node-rank {said}", hint=f"give each of the {nodes} nodes a number from 0 to {nodes - 1}"
            )
        host, _, port = (rendezvous or "").rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise RecipeError(
                f"--rendezvous {rendezvous or 'is missing'}",
                hint="name the host of node 0 and a free port of it, the same on all nodes: gpu-a:29400",
            )
        return cls(nodes, rank, host.strip("[]"), int(port), timeout)

    @property
    def address(self) -> str:
        """Where node 0 is found."""
        return f"{self.host}:{self.port}"


@dataclass(slots=True)
class _Follower:
    """A node that has joined."""

    rank: int
    host: str
    processes: int
    beat: bytes = b""
    heard: float = 0.0

    @property
    def name(self) -> str:
        return f"node {self.rank} ({self.host})"


class Leader:
    """Node 0, which does the run. :func:`lead` makes it.

    Args:
        place: place of node 0.

    Raises:
        TrainingError: the port cannot be opened, or a node does not join in time.
    """

    def __init__(self, place: NodePlace) -> None:
        self.place = place
        self.stages = 0
        try:
            self.store = meeting_place(place.host, place.port)
        except OSError as error:
            raise TrainingError(
                f"port {place.port} of this machine cannot be opened: {error.strerror or error}",
                hint="give all nodes another port in --rendezvous",
            ) from error
        try:
            self.followers = self._gather()
        except BaseException as error:
            self.leave(str(error) or type(error).__name__)
            raise

    @property
    def processes_elsewhere(self) -> int:
        """Number of processes that the other nodes start for a stage."""
        return sum(follower.processes for follower in self.followers)

    def get(self, key: str) -> bytes | None:
        """The value of a key; None where nobody has set it."""
        return bytes(self.store.get(key)) if self.store.check([key]) else None

    @contextmanager
    def stage(self, orders: StageOrders, world: int) -> Iterator[tuple[Share, _Followers]]:
        """Tells the other nodes to train a stage. When the block fails, they give it up.

        Yields:
            The share of node 0, and the other nodes.
        """
        number, self.stages = self.stages, self.stages + 1
        store = meeting_place(self.place.host)
        here = world - self.processes_elsewhere
        own = Share(0, here, world, self.place.host, store.port, f" on node 0 ({socket.gethostname()})")
        shares, first = {}, here
        for follower in self.followers:
            where = f" on {follower.name}"
            share = Share(first, follower.processes, world, self.place.host, store.port, where)
            shares[follower.rank], first = asdict(share), first + follower.processes
        self.store.set(f"stage/{number}", json.dumps({"orders": asdict(orders), "shares": shares}))
        try:
            yield own, _Followers(self, number, orders.folder)
        except BaseException as error:
            self.store.set(f"stopped/{number}", str(error) or type(error).__name__)
            raise

    def leave(self, why: str = "") -> None:
        """Tells the other nodes that the run has ended, and waits a moment until they know."""
        self.store.set("over", json.dumps({"why": why}))
        until = time.monotonic() + _FAREWELL_SECONDS
        joined = [rank for rank in range(1, self.place.nodes) if self.store.check([f"node/{rank}"])]
        while time.monotonic() < until and not all(self.store.check([f"left/{rank}"]) for rank in joined):
            time.sleep(0.1)

    def _gather(self) -> list[_Follower]:
        """Waits until all nodes have joined."""
        until = time.monotonic() + self.place.timeout
        missing = list(range(1, self.place.nodes))
        while missing:
            if time.monotonic() > until:
                named = " and ".join(f"node {rank}" for rank in missing)
                raise TrainingError(
                    f"{named} of {self.place.nodes} did not join within {self.place.timeout:g} seconds",
                    hint=f"give there the same command with --node-rank {missing[0]}; it must reach "
                    f"{self.place.address}; --node-timeout says how long to wait",
                )
            time.sleep(0.1)
            missing = [rank for rank in missing if not self.store.check([f"node/{rank}"])]
        followers = []
        for rank in range(1, self.place.nodes):
            told = json.loads(self.store.get(f"node/{rank}"))
            followers.append(_Follower(rank, told["host"], told["processes"]))
            if told["version"] != vila2.__version__:
                raise TrainingError(
                    f"{followers[-1].name} has vila2 {told['version']}, and node 0 {vila2.__version__}",
                    hint="install the same version on all nodes",
                )
        return followers


class _Followers:
    """The other nodes during a stage, for :func:`vila2.train.processes.train_share`."""

    alone = False
    grace = _GRACE_SECONDS

    def __init__(self, leader: Leader, stage: int, folder: str) -> None:
        self.leader, self.stage, self.folder = leader, stage, folder
        self.looked = time.monotonic()
        self.found: list[Failure] = []
        for follower in leader.followers:
            follower.heard = self.looked

    def failures(self, *, failed_here: bool) -> list[Failure]:
        """What is known to have failed on other nodes."""
        now = time.monotonic()
        if now - self.looked < _LOOK_SECONDS:
            return self.found
        slept = now - self.looked > self.leader.place.timeout / 2  # then nobody was silent meanwhile
        self.looked, self.found = now, []
        for follower in self.leader.followers:
            beat = self.leader.get(f"alive/{follower.rank}") or b""
            if beat != follower.beat or slept:
                follower.beat, follower.heard = beat, now
            if failure := self._failure(follower, now, failed_here):
                self.found.append(failure)
        return self.found

    def wait_for_their_end(self) -> None:
        """Waits until the processes of all nodes have ended.

        Raises:
            TrainingError: a node fails or is silent.
        """
        while True:
            if failures := self.failures(failed_here=False):
                raise min(failures, key=lambda failure: failure.weight).error
            keys = [f"ended/{self.stage}/{follower.rank}" for follower in self.leader.followers]
            if all(self.leader.store.check([key]) for key in keys):
                return
            time.sleep(0.1)

    def _failure(self, follower: _Follower, now: float, failed_here: bool) -> Failure | None:
        ended = self.leader.get(f"ended/{self.stage}/{follower.rank}")
        if ended is not None and (told := json.loads(ended)) is not None:
            return Failure.of_json(told)
        ranks = f"{follower.name}, which runs {follower.processes} of the processes,"
        timeout = self.leader.place.timeout
        if (left := self.leader.get(f"left/{follower.rank}")) is not None:
            what = f"{ranks} has left: {left.decode() or 'it was stopped'}"
        elif now - follower.heard > (min(_SHORT_SILENCE, timeout) if failed_here else timeout):
            what = f"{ranks} gave no sign of life for {now - follower.heard:.0f} seconds"
        else:
            return None
        step = latest_checkpoint_number(Path(self.folder))
        where = f"from step {step}" if step else "from the stage's beginning"
        hint = (
            f"start the same command again on all {self.leader.place.nodes} nodes: the stage goes on {where}"
        )
        return Failure(Weight.LOST, TrainingError(what, hint=hint))


_leader: ContextVar[Leader | None] = ContextVar("leader", default=None)


def current_leader() -> Leader | None:
    """The leader of the nodes that train together in this run; None where this machine is alone."""
    return _leader.get()


@contextmanager
def lead(place: NodePlace) -> Iterator[None]:
    """Within the block, stages are trained on all nodes; at its end the other nodes are let go."""
    leader = Leader(place)
    token = _leader.set(leader)
    try:
        yield
    except BaseException as error:
        leader.leave(str(error) or type(error).__name__)
        raise
    else:
        leader.leave()
    finally:
        _leader.reset(token)
