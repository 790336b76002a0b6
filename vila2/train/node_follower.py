"""A node that joins a run on another machine: it starts its share of the processes of every stage.

:mod:`vila2.train.nodes` is the other side, and has the keys that both speak in.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from pathlib import Path
from typing import Any

import torch

import vila2
from vila2.errors import RunError, TrainingError
from vila2.progress import Progress
from vila2.train.nodes import PAUSE, NodePlace
from vila2.train.processes import train_share
from vila2.train.share import FailedShare, Failure, Share, StageOrders, Weight

log = logging.getLogger("vila2.train")

_ATTEMPT_SECONDS = 2.0
_FOLDER_SECONDS = 10.0  # until a new folder is seen through a network file system
_GRACE_SECONDS = 3.0
_FAREWELL_SECONDS = 3.0


def follow(place: NodePlace, processes: int, progress: Progress) -> int:
    """Joins node 0 and trains with it until its run ends.

    Args:
        place: place of this node.
        processes: number of processes that this node starts for a stage.
        progress: display; it shows the stages.

    Returns:
        The number of stages that were trained.

    Raises:
        RunError: the run failed; node 0 says why.
        TrainingError: node 0 cannot be reached, or is gone.
    """
    line = _Line(place)
    why = "it was stopped"
    try:
        line.join(processes)
        log.info("node %d of %d has joined %s", place.rank, place.nodes, place.address)
        trained = 0
        while (orders := line.next_stage(trained)) is not None:
            failure = _train(line, trained, orders, progress)
            line.say(f"ended/{trained}/{place.rank}", json.dumps(failure and failure.as_json()))
            trained += 1
        why = ""
        return trained
    except Exception as error:
        why = str(error)
        raise
    finally:
        line.leave(why)


def _train(line: _Line, number: int, told: dict[str, Any], progress: Progress) -> Failure | None:
    """Trains this node's share of a stage; returns why it failed."""
    orders, share = StageOrders(**told["orders"]), Share(**told["shares"][str(line.place.rank)])
    until = time.monotonic() + _FOLDER_SECONDS
    while not Path(orders.folder).is_dir():
        if time.monotonic() > until:
            error = TrainingError(
                f"{orders.folder} is not seen{share.where}",
                hint="the nodes must share the folder of the run and of its data, at the same path",
            )
            return Failure(Weight.ON_PURPOSE, error)
        time.sleep(0.1)
    name = orders.settings["name"]
    try:
        with progress.task(f"train {name} with node 0", None):
            train_share(share, orders, progress, _NodeZero(line, number))
    except FailedShare as failed:
        return failed.failure
    return None


class _NodeZero:
    """Node 0 during a stage, for :func:`vila2.train.processes.train_share`."""

    alone = False
    grace = _GRACE_SECONDS

    def __init__(self, line: _Line, stage: int) -> None:
        self.line, self.stage = line, stage

    def failures(self, *, failed_here: bool) -> list[Failure]:
        """Whether node 0 is gone, or gave the stage up."""
        if (gone := self.line.gone()) is not None:
            return [Failure(Weight.LOST, gone)]
        if why := self.line.heard.get(f"stopped/{self.stage}"):
            return [Failure(Weight.LOST, TrainingError(why))]
        return []


class _Line:
    """The connection to node 0. A thread of its own speaks, since a dead machine does not even hang up."""

    def __init__(self, place: NodePlace) -> None:
        self.place = place
        self.heard: dict[str, str] = {}
        self._wanted: list[str] = ["over"]
        self._unsaid: dict[str, str] = {}
        self._lock = threading.Lock()
        self._spoke = time.monotonic()
        self._broken = ""
        self._leaves = threading.Event()
        self._store = _connect(place)
        self._thread = threading.Thread(target=self._speak, daemon=True)

    def join(self, processes: int) -> None:
        """Makes this node known.

        Raises:
            RunError: another machine has this rank.
        """
        rank = self.place.rank
        if self._store.add(f"taken/{rank}", 1) > 1:
            raise RunError(
                f"another machine is node {rank} already", hint="give each machine its own --node-rank"
            )
        told = {"host": socket.gethostname(), "processes": processes, "version": vila2.__version__}
        self.say(f"node/{rank}", json.dumps(told))
        self._thread.start()

    def say(self, key: str, value: str) -> None:
        """Sets a key of the store, soon."""
        with self._lock:
            self._unsaid[key] = value

    def next_stage(self, number: int) -> dict[str, Any] | None:
        """Waits for the orders of a stage; None once the run has ended well.

        Raises:
            RunError: the run failed.
            TrainingError: node 0 is gone.
        """
        key = f"stage/{number}"
        with self._lock:
            self._wanted += [key, f"stopped/{number}"]
        while True:
            if over := self.heard.get("over"):
                if why := json.loads(over)["why"]:
                    raise RunError(f"node 0 has ended the run: {why}")
                return None
            if orders := self.heard.get(key):
                found: dict[str, Any] = json.loads(orders)
                return found
            if (gone := self.gone()) is not None:
                raise gone
            time.sleep(0.1)

    def gone(self) -> TrainingError | None:
        """The error that node 0 is gone; None while it answers."""
        silent = time.monotonic() - self._spoke
        if not self._broken and silent < self.place.timeout:
            return None
        why = self._broken or f"it gave no sign of life for {silent:.0f} seconds"
        return TrainingError(
            f"node 0 at {self.place.address} is gone: {why}",
            hint="start the same command again on all nodes: the run goes on where it stopped",
        )

    def leave(self, why: str) -> None:
        """Says that this node leaves, and why."""
        if self._thread.is_alive():
            self.say(f"left/{self.place.rank}", why)
            self._leaves.set()
            self._thread.join(_FAREWELL_SECONDS)

    def _speak(self) -> None:
        beats = 0
        try:
            while True:
                leaves = self._leaves.wait(PAUSE / 2)
                beats += 1
                with self._lock:
                    unsaid, self._unsaid = self._unsaid, {}
                    wanted = [key for key in self._wanted if key not in self.heard]
                for key, value in {**unsaid, f"alive/{self.place.rank}": str(beats)}.items():
                    self._store.set(key, value)
                for key in wanted:
                    if self._store.check([key]):
                        self.heard[key] = bytes(self._store.get(key)).decode()
                self._spoke = time.monotonic()
                if leaves:
                    return
        except torch.distributed.DistError as error:
            self._broken = str(error).splitlines()[0]


def _connect(place: NodePlace) -> Any:
    """The store of node 0, once it is there."""
    distributed: Any = torch.distributed  # its types leave TCPStore out
    until = time.monotonic() + place.timeout
    while True:
        try:
            socket.create_connection((place.host, place.port), timeout=_ATTEMPT_SECONDS).close()
            return distributed.TCPStore(place.host, place.port, is_master=False, wait_for_workers=False)
        except (OSError, torch.distributed.DistError) as error:
            if time.monotonic() > until:
                raise TrainingError(
                    f"node 0 was not found at {place.address} within {place.timeout:g} seconds: {error}",
                    hint="start node 0 with the same --rendezvous; it is an address of that machine, and its "
                    "port must be open to the other nodes",
                ) from error
            time.sleep(min(0.5, place.timeout / 10))
