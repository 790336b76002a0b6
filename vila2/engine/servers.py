"""Servers of one model: which is asked next, how many requests each bears, and which is down."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition

from vila2.errors import EngineError

_FIRST_LIMIT = 4.0
#: Failures in a row after which a server is left alone, and for how long, in seconds.
_DOWN_AFTER, _FIRST_REST, _LONGEST_REST = 2, 0.5, 30.0


@dataclass(slots=True)
class Server:
    """A server, and how it has answered.

    Attributes:
        url: base URL.
        limit: number of requests that it is given at a time: one more for every answer until it first is
            overloaded; then half at each overload, and one more for every round of answers.
        in_flight: number of requests that it has.
        rest_until: time before which it is asked nothing.
        failures: number of failures since its last answer; those of requests asked together count once.
        told: its last failure or refusal, "" since it answered.
        lowered_at, failed_at: times of the last overload and the last failure that counted.
    """

    url: str
    limit: float
    in_flight: int = 0
    rest_until: float = 0.0
    failures: int = 0
    told: str = ""
    lowered_at: float = 0.0
    failed_at: float = 0.0


class ServersDown(EngineError):
    """No server has worked for as long as the settings allow."""


class JobOver(Exception):
    """The job does not wait for answers any more."""


class Servers:
    """Shares requests out among servers; any thread may use it.

    Args:
        urls: base URLs.
        concurrency: number of requests at a server at a time, at most.
        wait: seconds to wait where no server works.
    """

    def __init__(self, urls: Sequence[str], *, concurrency: int, wait: float) -> None:
        self.servers = [Server(url.rstrip("/"), min(_FIRST_LIMIT, concurrency)) for url in urls]
        self._concurrency, self._wait = concurrency, wait
        self._changed = Condition()
        self._stopped = False
        self._down_since: float | None = None

    @property
    def room(self) -> int:
        """Number of requests that all servers bear together."""
        with self._changed:
            return max(1, int(sum(server.limit for server in self.servers)))

    def stop(self) -> None:
        """Lets nobody wait any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @contextmanager
    def one(self) -> Iterator[Server]:
        """A server with room for a request, as soon as there is one.

        Raises:
            ServersDown: none has worked for as long as the settings allow.
            JobOver: the job is over.
        """
        server = self._taken()
        try:
            yield server
        finally:
            with self._changed:
                server.in_flight -= 1
                self._changed.notify_all()

    def _taken(self) -> Server:
        with self._changed:
            while True:
                if self._stopped:
                    raise JobOver
                now = time.monotonic()
                self._check_patience(now)
                free = [one for one in self.servers if one.in_flight < max(1, int(one.limit))]
                ready = [one for one in free if one.rest_until <= now and not self._is_tried(one)]
                if ready:
                    server = min(ready, key=lambda one: one.in_flight / one.limit)
                    server.in_flight += 1
                    return server
                rests = [one.rest_until - now for one in free if one.rest_until > now]
                self._changed.wait(min([1.0, *rests]))  # a while at most, for patience has an end

    @staticmethod
    def _is_tried(server: Server) -> bool:
        """Whether a server that was down has the one request that shows whether it is back."""
        return server.failures >= _DOWN_AFTER and server.in_flight > 0

    def _check_patience(self, now: float) -> None:
        if self._down_since is None or now - self._down_since <= self._wait:
            return
        said = "; ".join(f"{one.url}: {one.told}" for one in self.servers)
        raise ServersDown(
            f"no server has answered for {now - self._down_since:.0f} s ({said})",
            hint="start the servers and run the same command again: it goes on where it stopped",
        )

    def answered(self, server: Server) -> None:
        """Notes an answer of a server."""
        with self._changed:
            server.failures, server.told, self._down_since = 0, "", None
            grown = server.limit + (1 / server.limit if server.lowered_at else 1)
            server.limit = min(grown, self._concurrency)
            self._changed.notify_all()

    def overloaded(self, server: Server, told: str, *, asked_at: float, rest: float | None) -> None:
        """Notes that a server takes no more work for now.

        Args:
            server: server that says so.
            told: what it says.
            asked_at: time of the request; of the requests asked together, the first refusal counts.
            rest: seconds after which it wants to be asked again, if it says so.
        """
        with self._changed:
            now = time.monotonic()
            if asked_at >= server.lowered_at:
                server.limit, server.lowered_at = max(1.0, server.limit / 2), now
            pause = _FIRST_REST if rest is None else rest
            server.rest_until = max(server.rest_until, now + pause * random.uniform(1, 1.25))
            self._in_trouble(server, told, now)

    def failed(self, server: Server, told: str, *, asked_at: float) -> None:
        """Notes that a server cannot be reached or does not work; it is left alone if that goes on."""
        with self._changed:
            now = time.monotonic()
            if asked_at >= server.failed_at:
                server.failures, server.failed_at = server.failures + 1, now
            if server.failures >= _DOWN_AFTER:
                rest = min(_LONGEST_REST, _FIRST_REST * 2.0 ** min(server.failures - _DOWN_AFTER, 10))
                server.rest_until = max(server.rest_until, now + rest * random.uniform(0.5, 1))
            self._in_trouble(server, told, now)

    def pause(self, seconds: float) -> None:
        """Waits before a request is tried again.

        Raises:
            JobOver: the job is over.
        """
        with self._changed:
            if self._changed.wait_for(lambda: self._stopped, timeout=seconds):
                raise JobOver

    def _in_trouble(self, server: Server, told: str, now: float) -> None:
        server.told = told
        if self._down_since is None and all(one.told for one in self.servers):
            self._down_since = now
