"""Runs a benchmark: ours and the peer in turn, a warm-up, several repeats, and medians of CPU seconds.

A benchmark is a function that yields :class:`Comparison` values. It asserts inside that both sides did the
same work.
"""

from __future__ import annotations

import json
import math
import resource
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields

REPEATS = 3


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row of the table of docs/performance.md.

    Attributes:
        name: what was measured.
        ours: our figure; more is better.
        peer: the peer's figure, in the same unit.
        unit: unit of the figures, such as "images/s", a CPU second of one core.
        limit: smallest ratio of the two that is aimed at.
        beside: what the peer is.
        cause: why the ratio is no higher, for a row that misses its limit.
    """

    name: str
    ours: float
    peer: float
    unit: str
    limit: float
    beside: str
    cause: str = ""

    @property
    def ratio(self) -> float:
        """Our figure over the peer's."""
        return self.ours / self.peer

    @property
    def reached(self) -> bool:
        """Whether the limit is reached."""
        return self.of_limit >= 1

    @property
    def of_limit(self) -> float:
        """The ratio over its limit."""
        return self.ratio / self.limit

    def to_json(self) -> str:
        """Gives the row as one line of JSON."""
        return json.dumps(asdict(self) | {"ratio": self.ratio, "of_limit": self.of_limit})

    @classmethod
    def from_json(cls, line: str) -> Comparison:
        """Reads what :meth:`to_json` wrote."""
        read = json.loads(line)
        return cls(**{one.name: read[one.name] for one in fields(cls)})

    def __str__(self) -> str:
        state = "reached" if self.reached else f"{self.of_limit:.0%} of the limit"
        return (
            f"{self.name}: {figure(self.ours)} {self.unit}, {self.beside} {figure(self.peer)}; "
            f"{self.ratio:.2f}x, limit {self.limit:.3g}x: {state}"
        )


def figure(value: float) -> str:
    """A number in three digits: 0.0123, 1.23, 12,300."""
    if not value:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.{max(digits, 0)}f}"


def rates(ours: Callable[[], int], peer: Callable[[], int], repeats: int = REPEATS) -> tuple[float, float]:
    """Measures both sides in turn.

    Args:
        ours: function that does the work and returns the number of units done.
        peer: the same work by the peer.
        repeats: number of measured rounds, after one that is not measured.

    Returns:
        The median rates, in units a CPU second of this process and of those it started and awaited.
    """
    found: tuple[list[float], list[float]] = ([], [])
    for round_no in range(repeats + 1):
        for side, work in zip(found, (ours, peer), strict=True):
            started = cpu_seconds()
            count = work()
            took = cpu_seconds() - started
            if round_no:
                side.append(count / max(took, 1e-9))
    return statistics.median(found[0]), statistics.median(found[1])


def cpu_seconds() -> float:
    """CPU seconds of this process and of those it started and awaited."""
    own, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + theirs.ru_utime + theirs.ru_stime
