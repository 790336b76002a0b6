"""Trees taken apart, for models that cannot keep their branches apart: each branch becomes a sample of its own.

A tree is a trunk, with the image in it, and branches that do not see each other. What a model learns of it is what
it learns of the conversations that it stands for, each read with the trunk again; only the trunk is read more often.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vila2.data.atomic import write_bytes_atomic
from vila2.data.sample import Sample
from vila2.progress import Progress

_AT_A_TIME = 256


def trained_branches(sample: Sample) -> list[int]:
    """The numbers of a tree's branches that the loss counts something of; of a conversation none."""
    return sorted({turn.branch for turn in sample.turns if turn.branch and turn.trained})


def is_tree(sample: Sample) -> bool:
    """Whether a sample has branches."""
    return any(turn.branch for turn in sample.turns)


def take_apart(sample: Sample) -> list[Sample]:
    """The conversations that a tree stands for; a conversation by itself.

    What is trained of the trunk is trained once, with the first branch.
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
    """Samples with their trees taken apart, one after the other.

    Args:
        samples: conversations and trees.
        counts: into how many each is taken apart.
    """

    def __init__(self, samples: Sequence[Sample], counts: np.ndarray) -> None:
        self.samples = samples
        self.counts = counts
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    @classmethod
    def of(cls, samples: Sequence[Sample], file: Path | None, progress: Progress) -> TakenApart:
        """Counts the branches of all samples; once, for a resumed stage reads the file.

        Args:
            samples: a stage's mixture.
            file: ``.npz``, where the counts are kept, in a folder that is this stage's own. None keeps nothing.
            progress: shows how far it is.
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
        """How many samples became several."""
        return int((self.counts > 1).sum())

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, number: int) -> Sample:  # type: ignore[override]
        if not -len(self) <= number < len(self):
            raise IndexError(f"sample {number} of {len(self)}")
        number %= len(self)
        place = int(np.searchsorted(self._starts, number, side="right")) - 1
        return take_apart(self.samples[place])[number - int(self._starts[place])]
