"""Parts of a layer job: processes, on one machine or on several, that write shards of one layer.

Part 3/8 writes every eighth shard, from the third on. The parts share the layer's folder and nothing else.
Each shard is locked while it is written, so that parts that overlap do no harm. Beside the shards, each
process keeps a record for `vila2 status`, which the finished layer no longer has:

.worker-HOST-PID.jsonl    the part, and a line for each shard that the process wrote
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vila2.data.job_files import only_writer
from vila2.data.journal import Journal
from vila2.data.layers import LayerWriter
from vila2.data.locks import hold, holding
from vila2.errors import RecipeError, RunError

_RECORD = ".worker-{}-{}.jsonl"
#: Seconds that a part waits for another one that completes the layer.
PATIENCE = 60.0


class OtherPartsLeft(RunError):
    """A part of a layer is done, and the layer is not: shards of other parts are missing.

    Args:
        folder: folder of the layer.
        part: part that is done.
        left: number of shards that are missing.
        shards: number of shards of the layer.
    """

    def __init__(self, folder: Path, part: LayerPart, left: int, shards: int) -> None:
        self.folder, self.part, self.left, self.shards = folder, part, left, shards
        super().__init__(
            f"part {part} of {folder} is done, {left} of {shards} shards are left to other parts",
            hint="the last part completes the layer, or the same command without --part",
        )


@dataclass(frozen=True, slots=True)
class LayerPart:
    """The shards of a layer that one process writes.

    Attributes:
        number: number of the part, from 1.
        count: number of parts.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> LayerPart:
        """Reads ``3/8``.

        Raises:
            RecipeError: it has another form, or there is no such part.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise RecipeError(
                f"--part {text}: not of the form I/N",
                hint="--part 3/8 is the third of eight parts, 1/8 the first",
            )
        return cls(int(found[1]), int(found[2]))

    def shards(self, count: int) -> range:
        """Gives the numbers of the part's shards, of so many, as its progress counts them."""
        return range(self.number - 1, count, self.count)

    def due(self, count: int) -> Iterable[int]:
        """Gives the numbers of the part's shards, of so many, as they are to be written."""
        return self.shards(count)

    @property
    def patience(self) -> float:
        """Seconds to wait for a shard that another process holds, before it is left to that process."""
        return 0.0

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


class WorkerRecord:
    """Tells others what this process writes.

    Args:
        journal: journal of the record.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def add(self, shard_no: int, images: int) -> None:
        """Notes a shard that this process has written."""
        self._journal.append({"shard": shard_no, "images": images, "at": round(time.time(), 3)})


@contextmanager
def working_on(folder: Path, part: LayerPart) -> Iterator[WorkerRecord]:
    """Shares a layer's folder with other parts, until the block or the process ends.

    Raises:
        RunError: a process that is no part writes the layer, or the file system has no locks.
    """
    with only_writer(folder, shared=True, patience=PATIENCE):
        path = folder / _RECORD.format(re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname()), os.getpid())
        path.unlink(missing_ok=True)  # of an earlier process with this number
        held = hold(path, signed=False)
        journal = Journal(path)
        journal.append({"part": str(part), "at": round(time.time(), 3)})
        try:
            yield WorkerRecord(journal)
        finally:
            if held is not None:
                held.release()


@contextmanager
def completing(writer: LayerWriter, part: LayerPart, shards: int) -> Iterator[None]:
    """Lets one part, and no other, complete a layer of which all shards are there.

    Raises:
        OtherPartsLeft: some are not.
        RunError: another process writes the layer.
    """
    if left := shards - sum(map(writer.has, range(shards))):
        raise OtherPartsLeft(writer.folder, part, left, shards)
    with only_writer(writer.folder, patience=PATIENCE):
        yield


def remove_records(folder: Path) -> None:
    """Removes the records of all processes, once the layer is finished."""
    for path in folder.glob(_RECORD.format("*", "*")):
        path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that writes a part, or did.

    Attributes:
        host: name of its machine.
        pid: its number there.
        part: its part.
        works: whether it works now.
        shards: number of shards that it wrote.
        images: number of images in them.
        seconds: seconds from its start to the last of them.
    """

    host: str
    pid: int
    part: str
    works: bool
    shards: int
    images: int
    seconds: float


def read_workers(folder: Path) -> list[Worker]:
    """Reads the records beside an unfinished layer, in the order of parts."""
    found = []
    for path in folder.glob(_RECORD.format("*", "*")):
        host, _, pid = path.stem.removeprefix(".worker-").rpartition("-")
        entries: list[dict[str, Any]] = Journal.read(path)
        if entries:
            first, *done = entries
            seconds = entries[-1]["at"] - first["at"]
            images = sum(entry["images"] for entry in done)
            found.append(
                Worker(host, int(pid), first["part"], holding(path), len(done), images, round(seconds, 3))
            )
    return sorted(found, key=lambda one: (tuple(map(int, one.part.split("/"))), one.host, one.pid))
