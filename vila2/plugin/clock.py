"""The clock beside a plugin's code: says whose work it is that takes long, while it is still going on.

One thread watches all calls, so that a call costs microseconds: a builder gives a million samples.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

log = logging.getLogger("vila2.plugin")


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """A call under way: what is said about it when its time is over."""

    due: float
    told: str


class _Clock:
    """The calls under way in this process, and the thread that watches them."""

    def __init__(self) -> None:
        self._calls: dict[_Call, None] = {}
        self._changed = threading.Condition()
        self._looks_at = float("inf")  # time of the thread's next look
        self._watching = False

    def begin(self, call: _Call) -> None:
        with self._changed:
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="vila2-clock", daemon=True).start()
            self._calls[call] = None
            if call.due < self._looks_at:
                self._changed.notify()

    def end(self, call: _Call) -> None:
        with self._changed:
            self._calls.pop(call, None)

    def _watch(self) -> None:
        while True:
            with self._changed:
                self._looks_at = min((call.due for call in self._calls), default=float("inf"))
                wait = self._looks_at - time.monotonic()
                if wait > 0:
                    self._changed.wait(None if wait == float("inf") else wait)
                late = [call for call in self._calls if call.due <= time.monotonic()]
                for call in late:
                    del self._calls[call]
            for call in late:
                log.warning("%s", call.told)


_clock = _Clock()


def _new_after_a_fork() -> None:
    """A forked process has no thread of its parent's, and a lock that may never be released."""
    global _clock
    _clock = _Clock()


os.register_at_fork(after_in_child=_new_after_a_fork)


@contextmanager
def watched(of: str, seconds: float, *, hint: str) -> Iterator[None]:
    """Says whose work it is that takes long, while it is still going on: it may never end."""
    call = _Call(time.monotonic() + seconds, f"{of} takes more than {seconds:g} seconds; {hint}")
    clock = _clock
    clock.begin(call)
    try:
        yield
    finally:
        clock.end(call)
