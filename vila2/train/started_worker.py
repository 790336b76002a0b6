"""A process of a stage, seen from the one that started it: its orders, its reports and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import vila2
from vila2.errors import Vila2Error
from vila2.run.reports import Replay
from vila2.train.meeting import is_own_address, own_interface
from vila2.train.share import Share, named_error
from vila2.train.sign_of_life import Standing


@dataclass(slots=True, eq=False)
class StartedWorker:
    """One process, and what it has reported so far.

    Attributes:
        rank: its number among all processes of the stage.
        log: file with what it prints besides reports.
        replay: what shows its progress here.
        process: the process, once it is started.
        error: error that it raised on purpose.
        results: results of the stage; of rank 0 alone.
        place: where it stood when it last gave a sign of life.
    """

    rank: int
    log: Path
    replay: Replay
    process: Any = None
    rest: bytes = b""
    error: Vila2Error | None = None
    results: dict[str, Any] = field(default_factory=dict)
    place: Standing = field(default_factory=lambda: Standing("its beginning", 0))

    def start(self, orders: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        """Starts the process and gives it its orders."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "vila2.train.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches us alone; we end them
            )
        self.process.stdin.write(json.dumps(orders).encode() + b"\n")
        self.process.stdin.flush()

    def take(self, data: bytes) -> None:
        """Reads reports: progress and lines for the log; signs of life; an error; the results."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        for report in map(json.loads, lines):
            match report:
                case {"error": kind, "what": what, "hint": hint}:
                    self.error = named_error(kind, what, hint)
                case {"alive": line, "calls": calls}:
                    self.place = Standing(line, calls)
                case {"results": results}:
                    self.results = results
                case _:
                    self.replay.take(report)

    def last_words(self) -> str:
        """The last line it printed."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def worker_environment(share: Share, local_rank: int) -> dict[str, str]:
    """The variables that torchrun would set, and the path of this package."""
    path = [str(Path(vila2.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    return (
        (own_interface() if is_own_address(share.host) else {})
        | os.environ
        | {
            "RANK": str(share.first + local_rank),
            "LOCAL_RANK": str(local_rank),
            "WORLD_SIZE": str(share.world),
            "LOCAL_WORLD_SIZE": str(share.count),
            "MASTER_ADDR": share.host,
            "MASTER_PORT": str(share.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // share.count)),
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
        }
    )


def end_workers(workers: Iterable[StartedWorker]) -> None:
    """Ends what still runs."""
    started = [worker.process for worker in workers if worker.process is not None]
    for process in started:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with its data workers
    for process in started:
        process.wait()
        process.stdin.close()
        process.stdout.close()
