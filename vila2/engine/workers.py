"""Threads that work on what they are given, and end with the process even where they wait for a server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Workers(Generic[T, R]):
    """Works on items in threads; results come as they are finished.

    Unlike those of ``concurrent.futures``, the threads keep neither the caller nor the process from ending.

    Args:
        work: function of an item.
        most: number of threads at most.
    """

    def __init__(self, work: Callable[[T], R], most: int) -> None:
        self._work, self._most, self._threads = work, most, 0
        self._items: SimpleQueue[tuple[int, T] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[int, R | BaseException]] = SimpleQueue()
        self.under_way: set[int] = set()

    def give(self, number: int, item: T) -> None:
        """Hands an item over."""
        self.under_way.add(number)
        if self._threads < min(len(self.under_way), self._most):
            self._threads += 1
            Thread(target=self._run, daemon=True).start()
        self._items.put((number, item))

    def next(self) -> tuple[int, R]:
        """The number and the result of the item that is finished next; raises what its work raised."""
        number, result = self._results.get()
        self.under_way.discard(number)
        if isinstance(result, BaseException):
            raise result
        return number, result

    def stop(self) -> None:
        """Lets the threads end; items that none has begun are dropped."""
        with suppress(Empty):
            while True:
                self._items.get_nowait()  # a thread may take the last one meanwhile
        for _ in range(self._threads):
            self._items.put(None)

    def _run(self) -> None:
        while (given := self._items.get()) is not None:
            number, item = given
            try:
                self._results.put((number, self._work(item)))
            except BaseException as error:  # raised again by `next`
                self._results.put((number, error))
