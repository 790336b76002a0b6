"""Splits trees into conversations, for models that cannot isolate the branches of a tree from each other.

A tree is a trunk, with the image in it, and branches that do not see each other. It stands for several
conversations, each of which is the trunk followed by one branch. A model learns the same from these
conversations as from the tree; it only reads the trunk more often.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

import numpy as np

from vila2.data.atomic import write_bytes_atomic
from vila2.data.sample import Sample
from vila2.progress import Progress

_AT_A_TIME = 256


def trained_branches(sample: Sample) -> list[int]:
    """Lists the branches of a sample in which the loss counts something; a conversation has none."""
    return sorted({turn.branch for turn in sample.turns if turn.branch and turn.trained})


def is_tree(sample: Sample) -> bool:
    """Whether a sample has branches."""
    return any(turn.branch for turn in sample.turns)


def take_apart(sample: Sample) -> list[Sample]:
    """Splits a tree into the conversations that it stands for; a conversation stays one.

    The trunk's own trained turns are trained once, with the first branch.
    """
    if not is_tree(sample):
        return [sample]
    trunk = tuple(turn for turn in sample.turns if not turn.branch)
    branches = trained_branches(sample)
    if not branches:
        return [sample.with_turns(trunk)]
    told = tuple(replace(turn, train=False) for turn in trunk)
    return [
        sample.with_turns(
            (told if place else trunk)
            + tuple(replace(turn, branch=0) for turn in sample.turns if turn.branch == branch)
        )
        for place, branch in enumerate(branches)
    ]


class TakenApart(Sequence[Sample]):
    """A sequence of samples in which every tree is split into its conversations.

    Args:
        samples: conversations and trees.
        counts: number of conversations that each sample is split into, int [samples].
    """

    def __init__(self, samples: Sequence[Sample], counts: np.ndarray) -> None:
        self.samples = samples
        self.counts = counts
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    @classmethod
    def of(cls, samples: Sequence[Sample], file: Path | None, progress: Progress) -> TakenApart:
        """Counts the branches of all samples, or reads the counts that an earlier call has kept.

        Args:
            samples: samples of a stage's mixture.
            file: path of the ``.npz`` file that keeps the counts, in a folder of this stage alone; None keeps
                nothing.
            progress: receiver of the progress.
        """
        if file and file.exists():
            with np.load(file) as kept:
                return cls(samples, kept["counts"])
        counts = np.ones(len(samples), np.int32)
        with progress.task("take trees apart", len(samples)) as task:
            for number in range(len(samples)):
                counts[number] = max(1, len(trained_branches(samples[number])))
                if (number + 1) % _AT_A_TIME == 0:
                    task.advance(_AT_A_TIME)
            task.advance(len(samples) % _AT_A_TIME)
        if file:
            content = io.BytesIO()
            np.savez(content, counts=counts)
            write_bytes_atomic(file, content.getvalue())
        return cls(samples, counts)

    @property
    def trees(self) -> int:
        """Number of samples that are split into several."""
        return int((self.counts > 1).sum())

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, number: int) -> Sample: ...

    @overload
    def __getitem__(self, number: slice) -> list[Sample]: ...

    def __getitem__(self, number: int | slice) -> Sample | list[Sample]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(f"sample {number} of {len(self)}")
        number %= len(self)
        place = int(np.searchsorted(self._starts, number, side="right")) - 1
        return take_apart(self.samples[place])[number - int(self._starts[place])]
