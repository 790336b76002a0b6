"""Training on several processes of one machine, which are started, listened to, and ended together.

Every process runs :mod:`vila2.train.worker` in the environment that torchrun would give it. Orders go to a
worker's standard input, which stays open: when it closes, the process that started the worker is gone, and
the worker ends. A worker's reports come back as lines of JSON; whatever else it prints is in
``processes/RANK.log``.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import vila2
from vila2 import errors
from vila2.errors import TrainingError, Vila2Error
from vila2.progress import Progress
from vila2.run.reports import Replay
from vila2.run.step_kinds import Inputs
from vila2.train.checkpoints import latest_checkpoint_number
from vila2.train.meeting import meeting_place, own_interface
from vila2.train.sign_of_life import SignsOfLife, Standing, Trouble, longest_stand, pause_between_beats
from vila2.train.train_settings import TrainSettings

log = logging.getLogger("vila2.train")

# Once one process has failed, the others get this long to report why they failed too; then they are ended.
_GRACE_SECONDS = 3.0


def processes_here(wanted: int | str) -> int:
    """Number of processes that train on this machine: ``wanted``, or one for each GPU with "auto".

    Raises:
        TrainingError: more than there are GPUs.
    """
    gpus = torch.cuda.device_count()
    if wanted == "auto":
        return max(1, gpus)
    if gpus and int(wanted) > gpus:
        raise TrainingError(
            f"processes: {wanted}, but there are {gpus} GPUs", hint=f"set processes to {gpus} or to auto"
        )
    return int(wanted)


def train_in_processes(
    folder: Path, settings: TrainSettings, inputs: Inputs, progress: Progress
) -> dict[str, Any]:
    """Trains a stage on several processes; for the rest see :func:`vila2.train.stage.train_stage`.

    Raises:
        TrainingError: a process was killed or failed; the others are ended too.
        Vila2Error: an error that a process raised on purpose.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # the processes need what an earlier step still holds
    store = meeting_place()
    count = settings.processes
    life = SignsOfLife(settings.stage.process_timeout)
    orders = {
        "folder": str(folder),
        "settings": settings.model_dump(mode="json"),
        "inputs": {name: str(path) for name, path in inputs.items()},
        "pause_between_beats": pause_between_beats(life.timeout),
    }
    (folder / "processes").mkdir(exist_ok=True)
    with ExitStack() as stack:
        replay = Replay(progress)
        stack.callback(replay.end)
        workers = [_Worker(rank, folder / "processes" / f"{rank}.log", replay) for rank in range(count)]
        stack.callback(_end, workers)
        for worker in workers:
            worker.start(orders, _environment(worker.rank, count, store.port))
        if trouble := _listen(workers, life):
            raise _named(trouble, workers, settings, folder)
        failed = [worker for worker in workers if worker.process.returncode or worker.error]
        if failed:
            raise _cause(failed, count, folder)
    return workers[0].results


@dataclass(slots=True, eq=False)
class _Worker:
    """One process, and what it has reported so far."""

    rank: int
    log: Path
    replay: Replay
    process: Any = None
    rest: bytes = b""
    error: Vila2Error | None = None
    results: dict[str, Any] = field(default_factory=dict)
    place: Standing = field(default_factory=lambda: Standing("its beginning", 0))

    def start(self, orders: Mapping[str, Any], environment: Mapping[str, str]) -> None:
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
                    self.error = getattr(errors, kind, TrainingError)(what, hint=hint)
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


def _environment(rank: int, count: int, port: int) -> dict[str, str]:
    """The variables that torchrun would set, and the path of this package."""
    interface = own_interface()
    path = [str(Path(vila2.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    return (
        interface
        | os.environ
        | {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // count)),
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
        }
    )


def _listen(workers: list[_Worker], life: SignsOfLife) -> Trouble | None:
    """Takes reports until all processes have ended, or one has failed and its grace is over.

    Returns:
        What is wrong with processes that are still there and will not go on; None where nothing is.
    """
    deadline = None
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        while deadline is None or time.monotonic() < deadline:
            for key, _ in selector.select(timeout=0.2):
                data = os.read(key.fd, 1 << 16)
                if data:
                    key.data.take(data)
                    life.hear(key.data.rank, key.data.place)
                else:
                    selector.unregister(key.fileobj)
            running = [worker for worker in workers if worker.process.poll() is None]
            if not running and not selector.get_map():
                break
            if deadline is None and any(worker.process.returncode for worker in workers):
                deadline = time.monotonic() + _GRACE_SECONDS
            if deadline is None and (found := life.trouble((w.rank, w.process.pid) for w in running)):
                return found
    return None


def _end(workers: list[_Worker]) -> None:
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


def _named(trouble: Trouble, workers: list[_Worker], settings: TrainSettings, folder: Path) -> TrainingError:
    """The error about processes that give no sign of life, or do not move."""
    timeout, key = settings.stage.process_timeout, f"stages.{settings.name}.process_timeout"
    if trouble.stuck:
        what = f"the {len(workers)} processes have not moved for {longest_stand(timeout):g} seconds"
        hint = f"a process, a disk or the network does not answer; {key} says how long to wait"
    else:
        named = " and ".join(f"process {rank}" for rank in trouble.ranks)
        what = f"{named} of {len(workers)} gave no sign of life for {timeout:g} seconds"
        hint = f"if nobody stopped it, a disk or the machine does not answer; {key} says how long to wait"
    why = f": {trouble.why}" if trouble.why else ""
    return TrainingError(what + why, hint=f"{hint}; {_what_next(workers[trouble.ranks[0]], folder)}")


def _cause(failed: list[_Worker], count: int, folder: Path) -> Vila2Error:
    """The failure that caused the others: a signal, else an error raised on purpose, else the first."""
    killed = [worker for worker in failed if (worker.process.returncode or 0) < 0]
    meant = [worker for worker in failed if worker.error]
    worker = (killed or meant or failed)[0]
    if worker.error and not killed:
        return worker.error
    code, hint = worker.process.returncode, ""
    if killed:
        what = f"process {worker.rank} of {count} was killed by {signal.Signals(-code).name}"
        if code == -signal.SIGKILL:
            hint = "most often there was too little memory: lower device_batch_size; "
    else:
        what = f"process {worker.rank} of {count} failed: {worker.last_words()}"
    return TrainingError(what, hint=hint + _what_next(worker, folder))


def _what_next(worker: _Worker, folder: Path) -> str:
    """The hint on where to look, and from where a resume goes on."""
    step = latest_checkpoint_number(folder)
    where = f"from step {step}" if step else "from the stage's beginning"
    return f"look in {worker.log}; the same command trains on {where}"
