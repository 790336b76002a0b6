"""Training on several processes of one machine, which are started, listened to, and ended together.

Every process runs :mod:`vila2.train.worker` in the environment that torchrun would give it. Orders go to a
worker's standard input, which stays open: when it closes, the process that started the worker is gone, and
the worker ends. A worker's reports come back as lines of JSON; whatever else it prints is in
``processes/RANK.log``. Where several machines train together, each does this with its share of the processes
(:mod:`vila2.train.nodes`).
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from vila2.errors import TrainingError
from vila2.progress import Progress
from vila2.run.reports import Replay
from vila2.run.step_kinds import Inputs
from vila2.train.checkpoints import latest_checkpoint_number
from vila2.train.meeting import HERE, meeting_place
from vila2.train.nodes import current_leader
from vila2.train.share import FailedShare, Failure, NoOthers, OtherMachines, Share, StageOrders, Weight
from vila2.train.sign_of_life import SignsOfLife, Trouble, longest_stand, pause_between_beats
from vila2.train.started_worker import StartedWorker, end_workers, worker_environment
from vila2.train.train_settings import TrainSettings


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


def processes_together(wanted: int | str) -> int:
    """Number of processes that train together: those of this machine, and of all that train with it."""
    leader = current_leader()
    return processes_here(wanted) + (leader.processes_elsewhere if leader else 0)


def train_in_processes(
    folder: Path, settings: TrainSettings, inputs: Inputs, progress: Progress
) -> dict[str, Any]:
    """Trains a stage on several processes; for the rest see :func:`vila2.train.stage.train_stage`.

    Raises:
        TrainingError: a process was killed or failed, or a machine is gone; the others are ended too.
        Vila2Error: an error that a process raised on purpose.
    """
    places = {name: os.path.abspath(path) for name, path in inputs.items()}
    orders = StageOrders(os.path.abspath(folder), settings.model_dump(mode="json"), places)
    leader = current_leader()
    try:
        if leader is None:
            store = meeting_place()
            share = Share(0, settings.processes, settings.processes, HERE, store.port)
            return train_share(share, orders, progress)
        with leader.stage(orders, settings.processes) as (share, others):
            results = train_share(share, orders, progress, others)
            others.wait_for_their_end()
            return results
    except FailedShare as failed:
        raise failed.failure.error from None


def train_share(
    share: Share,
    orders: StageOrders,
    progress: Progress,
    others: OtherMachines | None = None,
) -> dict[str, Any]:
    """Trains a stage on this machine's share of its processes.

    Args:
        share: processes to start.
        orders: what each is told.
        progress: display of the steps.
        others: the machines that train the same stage; by default there are none.

    Returns:
        The results of the stage; empty where rank 0 is on another machine.

    Raises:
        FailedShare: a process was killed or failed, here or elsewhere; those of this machine are ended.
    """
    others = others or NoOthers()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # the processes need what an earlier step still holds
    settings, folder = TrainSettings.model_validate(orders.settings), Path(orders.folder)
    life = SignsOfLife(settings.stage.process_timeout)
    told = asdict(orders) | {"pause_between_beats": pause_between_beats(life.timeout)}
    (folder / "processes").mkdir(exist_ok=True)
    ranks = range(share.first, share.first + share.count)
    with ExitStack() as stack:
        replay = Replay(progress)
        stack.callback(replay.end)
        workers = [StartedWorker(rank, folder / "processes" / f"{rank}.log", replay) for rank in ranks]
        stack.callback(end_workers, workers)
        for number, worker in enumerate(workers):
            worker.start(told, worker_environment(share, number))
        trouble = _listen(workers, life, others)
        failures = [_failure(worker, share, folder) for worker in workers if _has_failed(worker)]
        if trouble:
            failures.append(_silence(trouble, workers, settings, share, folder))
        failures += others.failures(failed_here=bool(failures))
        if failures:
            raise FailedShare(min(failures, key=lambda failure: failure.weight))
    return workers[0].results


def _listen(workers: list[StartedWorker], life: SignsOfLife, others: OtherMachines) -> Trouble | None:
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
            ended = not running and not selector.get_map()
            elsewhere = others.failures(failed_here=deadline is not None)
            if deadline is None and (elsewhere or any(worker.process.returncode for worker in workers)):
                deadline = time.monotonic() + others.grace
            if (ended and (deadline is None or others.alone)) or any(f.is_a_cause for f in elsewhere):
                break
            if deadline is None and (found := life.trouble((w.rank, w.process.pid) for w in running)):
                return found
    return None


def _has_failed(worker: StartedWorker) -> bool:
    return bool(worker.process.returncode or worker.error)


def _failure(worker: StartedWorker, share: Share, folder: Path) -> Failure:
    """Why a process has failed: a signal, an error raised on purpose, or what it printed last."""
    code = worker.process.returncode or 0
    if worker.error and code >= 0:
        return Failure(Weight.ON_PURPOSE, worker.error)
    what, hint = f"process {worker.rank} of {share.world}{share.where}", ""
    if code >= 0:
        error = TrainingError(f"{what} failed: {worker.last_words()}", hint=_what_next(worker, folder))
        return Failure(Weight.OTHER, error)
    if code == -signal.SIGKILL:
        hint = "most often there was too little memory: lower device_batch_size; "
    what = f"{what} was killed by {signal.Signals(-code).name}"
    return Failure(Weight.KILLED, TrainingError(what, hint=hint + _what_next(worker, folder)))


def _silence(
    trouble: Trouble, workers: list[StartedWorker], settings: TrainSettings, share: Share, folder: Path
) -> Failure:
    """The error about processes that give no sign of life, or do not move."""
    timeout, key = settings.stage.process_timeout, f"stages.{settings.name}.process_timeout"
    if trouble.stuck:
        what = (
            f"the {len(workers)} processes{share.where} have not moved for {longest_stand(timeout):g} seconds"
        )
        hint = f"a process, a disk or the network does not answer; {key} says how long to wait"
    else:
        named = " and ".join(f"process {rank}" for rank in trouble.ranks)
        what = f"{named} of {share.world}{share.where} gave no sign of life for {timeout:g} seconds"
        hint = f"if nobody stopped it, a disk or the machine does not answer; {key} says how long to wait"
    why = f": {trouble.why}" if trouble.why else ""
    hint = f"{hint}; {_what_next(workers[trouble.ranks[0] - share.first], folder)}"
    return Failure(Weight.LOST, TrainingError(what + why, hint=hint))


def _what_next(worker: StartedWorker, folder: Path) -> str:
    """The hint on where to look, and from where a resume goes on."""
    step = latest_checkpoint_number(folder)
    where = f"from step {step}" if step else "from the stage's beginning"
    return f"look in {worker.log}; the same command trains on {where}"
