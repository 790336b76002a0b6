"""The shards of a layer that workers of a cluster share, and which of them are given again.

A worker asks for the next shard whenever it can read further. What a lost worker had begun goes to another
one, which goes on after the last finished batch. A shard at which workers fail is given to a worker that has
no other, so that it is known which one is at fault; after some tries it is given no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from vila2.caption.layer_parts import PATIENCE, LayerPart

#: Times that a shard is given, before it is named as one that fails.
TRIES = 4
#: Times after which it is given alone.
_TOGETHER = 2


class ShardQueue:
    """Gives out shards, each to one worker at a time.

    Args:
        shards: numbers of the shards to write.

    Attributes:
        failing: shards that are given no more.
    """

    def __init__(self, shards: Iterable[int]) -> None:
        self._due = deque(shards)
        self._tries: dict[int, int] = {}
        self._with: dict[int, list[int]] = {}
        self.failing: list[int] = []

    def __len__(self) -> int:
        return len(self._due)

    def take(self, worker: int) -> int | None:
        """Gives a worker its next shard; None where it should end what it has, and end."""
        own = self._with.setdefault(worker, [])
        if not self._due or (own and (self._alone(own[-1]) or self._alone(self._due[0]))):
            return None
        own.append(self._due.popleft())
        self._tries[own[-1]] = self._tries.get(own[-1], 0) + 1
        return own[-1]

    def end(self, worker: int, written: Callable[[int], bool]) -> tuple[list[int], list[int]]:
        """Takes back what a worker that has ended did not write; returns what it was given, and that."""
        given = self._with.pop(worker, [])
        unwritten = [shard for shard in given if not written(shard)]
        for shard in unwritten:
            (self.failing if self._tries[shard] >= TRIES else self._due).append(shard)
        return given, unwritten

    def _alone(self, shard: int) -> bool:
        return self._tries.get(shard, 0) >= _TOGETHER


@dataclass(frozen=True, slots=True)
class SharedPart(LayerPart):
    """The shards that a worker is given while it works.

    Attributes:
        take: gives the next shard; None where there is no more.
        counts: whether the worker's progress counts the images of the whole layer, for all workers.
    """

    take: Callable[[], int | None]
    counts: bool

    def shards(self, count: int) -> range:
        """Gives the numbers of the shards that the worker's progress counts."""
        return range(count if self.counts else 0)

    @property
    def patience(self) -> float:
        """Seconds to wait for a shard: its last worker may be lost, and not have ended yet."""
        return PATIENCE

    def due(self, count: int) -> Iterator[int]:
        """Gives the numbers of the shards to write, each when it is asked for."""
        return iter(self.take, None)
