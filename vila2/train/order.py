"""The order in which a stage reads its mixture: the same on any number of processes, and after a resume."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch.utils.data import DataLoader, Sampler


class StepOrder(Sampler[list[int]]):
    """One process's share of every optimizer step of an epoch, as lists of sample numbers.

    An epoch is one shuffle of all samples, cut into steps of ``batch_size``. Within a step the processes take
    turns of ``device_batch_size``. All processes have equally many turns; in the last step of an epoch, or
    where the sizes do not divide, a list may be short or empty.

    Args:
        samples: number of samples in the mixture.
        seed: seed of the shuffle, together with the number of the epoch.
        batch_size: number of samples in one step, over all processes.
        device_batch_size: number of samples at a time on one process.
        processes: number of processes that share a step.
        process: number of this process, from 0.
    """

    def __init__(
        self,
        samples: int,
        *,
        seed: int,
        batch_size: int,
        device_batch_size: int,
        processes: int = 1,
        process: int = 0,
    ) -> None:
        self.samples = samples
        self.seed = seed
        self.batch_size = batch_size
        self.device_batch_size = device_batch_size
        self.processes = processes
        self.process = process
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Selects the shuffle of an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        full, rest = divmod(self.samples, self.batch_size)
        return full * self._turns(self.batch_size) + self._turns(rest)

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(self.samples, generator=torch.Generator().manual_seed(self.seed + self.epoch))
        for start in range(0, self.samples, self.batch_size):
            step = order[start : start + self.batch_size].tolist()
            for turn in range(self._turns(len(step))):
                first = (turn * self.processes + self.process) * self.device_batch_size
                yield step[first : first + self.device_batch_size]

    def _turns(self, samples: int) -> int:
        return -(-samples // (self.device_batch_size * self.processes))


class StageLoader(DataLoader[Any]):
    """A loader that tells its order which epoch begins, as the Trainer expects it to."""

    def set_epoch(self, epoch: int) -> None:
        """Selects the shuffle of an epoch."""
        cast(StepOrder, self.batch_sampler).set_epoch(epoch)
