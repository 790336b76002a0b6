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
        self._work, self._most = work, most
        self._threads: list[Thread] = []
        self._items: SimpleQueue[tuple[int, T] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[int, R | BaseException]] = SimpleQueue()
        self.under_way: set[int] = set()

    def give(self, number: int, item: T) -> None:
        """Hands an item over."""
        self.under_way.add(number)
        if len(self._threads) < min(len(self.under_way), self._most):
            self._threads.append(Thread(target=self._run, daemon=True))
            self._threads[-1].start()
        self._items.put((number, item))

    def next(self) -> tuple[int, R]:
        """The number and the result of the item that is finished next; raises what its work raised."""
        number, result = self._results.get()
        self.under_way.discard(number)
        if isinstance(result, BaseException):
            raise result
        return number, result

    def stop(self, *, wait: bool = False) -> None:
        """Lets the threads end; items that none has begun are dropped.

        Args:
            wait: whether to wait for them. A process that ends while a thread computes in native code is
                aborted. So wait for work that computes, and not for one that waits for a server.
        """
        with suppress(Empty):
            while True:
                self._items.get_nowait()  # a thread may take the last one meanwhile
        for _ in self._threads:
            self._items.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _run(self) -> None:
        while (given := self._items.get()) is not None:
            number, item = given
            try:
                self._results.put((number, self._work(item)))
            except BaseException as error:  # raised again by `next`
                self._results.put((number, error))
