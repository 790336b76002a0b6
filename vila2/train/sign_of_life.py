"""Whether the processes of a stage still answer and move, so that none is waited for without end.

Each process tells every few seconds that it is alive, and where its main thread stands. Where none of them
moves any more, they wait for each other, or for a disk or a network that is gone.
"""

from __future__ import annotations

import sys
import threading
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: A process gives this many signs of life within the time after which it counts as silent, or more.
_BEATS = 5
_LONGEST_PAUSE = 5.0  # seconds between two of them
#: A process may stand in one call for long and yet be sound, for example while it writes a large file.
_WAITS = 6

_RUNS = "R"
_STATES = {
    "T": "it is stopped",
    "t": "a debugger stopped it",
    "D": "it waits for a disk or another device",
}


def pause_between_beats(timeout: float) -> float:
    """Seconds between two signs of life of a process that is silent after ``timeout`` seconds."""
    return min(_LONGEST_PAUSE, timeout / _BEATS)


def longest_stand(timeout: float) -> float:
    """Seconds for which all processes may stand where they are."""
    return _WAITS * timeout


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the main thread of a process stands.

    Attributes:
        line: file and line.
        calls: checksum of all calls that it is in.
    """

    line: str
    calls: int

    @classmethod
    def of_main_thread(cls) -> Standing:
        """The place of this process's main thread."""
        frame = top = sys._current_frames().get(threading.main_thread().ident or 0)
        calls = 0
        while frame is not None:
            calls = zlib.crc32(f"{frame.f_code.co_filename}:{frame.f_lasti}".encode(), calls)
            frame = frame.f_back
        if top is None:
            return cls("its end", calls)
        return cls(f"{'/'.join(Path(top.f_code.co_filename).parts[-3:])}:{top.f_lineno}", calls)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Processes that give no sign of life, or that do not move.

    Attributes:
        ranks: their numbers.
        why: what the system says of them, or where they stand; empty where nothing is known.
        stuck: whether they answer but do not move.
    """

    ranks: tuple[int, ...]
    why: str
    stuck: bool = False


class SignsOfLife:
    """When each process gave its last sign of life, and when it moved last.

    Args:
        timeout: seconds after which a process counts as silent.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._heard: dict[int, float] = {}
        self._moved: dict[int, float] = {}
        self._places: dict[int, Standing] = {}
        self._looked = time.monotonic()

    def hear(self, rank: int, place: Standing) -> None:
        """Notes a sign of life of a process."""
        self._heard[rank] = time.monotonic()
        if self._places.get(rank) != place:
            self._places[rank] = place
            self._moved[rank] = self._heard[rank]

    def trouble(self, running: Iterable[tuple[int, int]]) -> Trouble | None:
        """What is wrong with processes.

        Args:
            running: rank and process id of each that has not ended.
        """
        now = time.monotonic()
        if now - self._looked > self.timeout / 2:
            # We did not look ourselves, for example because the machine slept: nobody was silent meanwhile.
            self._heard, self._moved = dict.fromkeys(self._heard, now), dict.fromkeys(self._moved, now)
        self._looked = now
        processes = dict(running)
        late = [rank for rank in processes if now - self._heard.setdefault(rank, now) > self.timeout]
        # A process that would run, if it got a core, is only slow.
        states = {rank: state for rank in late if (state := _state(processes[rank])) != _RUNS}
        if states:
            said = sorted({_STATES[state] for state in states.values() if state in _STATES})
            return Trouble(tuple(states), ", ".join(said))
        longest = longest_stand(self.timeout)
        if processes and all(now - self._moved.setdefault(rank, now) > longest for rank in processes):
            stand = [f"process {rank} in {place.line}" for rank, place in sorted(self._places.items())]
            return Trouble(tuple(processes), ", ".join(stand), stuck=True)
        return None


def _state(process: int) -> str:
    """The letter that the system gives to the state of a process; empty where it is not known."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:  # a system without /proc, or the process ends just now
        return ""
    return text.rpartition(")")[2].split()[0]
