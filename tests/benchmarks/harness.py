"""Runs a benchmark: ours and the peer in turn, a warm-up, several repeats, and medians of CPU seconds.

A benchmark is a function that yields :class:`Comparison` values. It asserts inside that both sides did the
same work.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

REPEATS = 3


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row of the table of docs/performance.md.

    Attributes:
        name: what was measured.
        ours: our rate, in units a CPU second.
        peer: the peer's rate, in the same unit.
        unit: what is counted.
        goal: smallest ratio of the two that is aimed at.
        beside: what the peer is.
    """

    name: str
    ours: float
    peer: float
    unit: str
    goal: float
    beside: str

    @property
    def ratio(self) -> float:
        """Our rate over the peer's."""
        return self.ours / self.peer

    @property
    def reached(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio >= self.goal

    def to_json(self) -> str:
        """Gives the row as one line of JSON."""
        return json.dumps(asdict(self) | {"ratio": self.ratio, "of_goal": self.ratio / self.goal})

    def __str__(self) -> str:
        state = "reached" if self.reached else f"{self.ratio / self.goal:.0%} of the goal"
        return (
            f"{self.name}: {self.ours:,.0f} {self.unit}/s, {self.beside} {self.peer:,.0f}; "
            f"{self.ratio:.2f}x, goal {self.goal:g}x: {state}"
        )


def rates(ours: Callable[[], int], peer: Callable[[], int], repeats: int = REPEATS) -> tuple[float, float]:
    """Measures both sides in turn.

    Args:
        ours: function that does the work and returns the number of units done.
        peer: the same work by the peer.
        repeats: number of measured rounds, after one that is not measured.

    Returns:
        The median rates, in units a CPU second.
    """
    found: tuple[list[float], list[float]] = ([], [])
    for round_no in range(repeats + 1):
        for side, work in zip(found, (ours, peer), strict=True):
            started = time.process_time()
            count = work()
            took = time.process_time() - started
            if round_no:
                side.append(count / max(took, 1e-9))
    return statistics.median(found[0]), statistics.median(found[1])
