"""Plans packs: which samples share a row of limited length.

Each pack starts with the longest sample that is left. It is filled with one or two samples that fit the rest
exactly, otherwise with the longest that fits. Where images are limited, a second way is tried as well
(`balance.py`), and the plan with fewer packs is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from vila2.errors import DataError
from vila2.packing.balance import balanced
from vila2.packing.shelves import (
    FillOne,
    Integers,
    Rows,
    Shelf,
    Slot,
    SortedSamples,
    exact_pair,
    longest_fitting,
)

_BALANCED = ((0.1, 0), (0.3, 1))  # tolerance and early end of the balanced ways; each is best for some data
_GOOD = 1.01  # packs over the bound; then no other way is tried


@dataclass(frozen=True, slots=True, eq=False)
class Packs:
    """Packs of samples, by sample number.

    Attributes:
        capacity: largest number of tokens of a pack.
        tokens: length of every sample in tokens, [samples].
        order: samples of the first pack, then of the second, and so on, [samples].
        starts: start of each pack in ``order``, and the end, [packs + 1].
    """

    capacity: int
    tokens: Integers
    order: Integers
    starts: Integers

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, number: int) -> list[int]:
        """The samples of one pack."""
        if not -len(self) <= number < len(self):
            raise IndexError(f"pack {number} of {len(self)}")
        number %= len(self)
        samples: list[int] = self.order[self.starts[number] : self.starts[number + 1]].tolist()
        return samples

    @property
    def fill(self) -> float:
        """Share of the packs' capacity that holds tokens, 0 to 1."""
        return float(self.tokens.sum()) / (self.capacity * len(self)) if len(self) else 0.0


def plan_packs(
    tokens: Sequence[int] | Integers,
    images: Sequence[int] | Integers,
    *,
    capacity: int,
    max_images: int | None = None,
    seed: int = 0,
) -> Packs:
    """Puts every sample into exactly one pack; the same arguments always give the same packs.

    Args:
        tokens: length of each sample in tokens, image tokens included.
        images: number of images of each sample.
        capacity: largest number of tokens of a pack.
        max_images: largest number of images of a pack; None for no limit.
        seed: seed of the choice among samples of equal length.

    Raises:
        DataError: a sample that fits into no pack, or one without tokens.
    """
    tokens, images = np.asarray(tokens, np.int64), np.asarray(images, np.int64)
    _check(tokens, images, capacity, max_images)
    # Without a limit, the number of images does not matter.
    counted = images if max_images is not None else np.zeros_like(images)
    samples = SortedSamples(tokens, counted, capacity, seed)
    bound = max(-(-int(tokens.sum()) // capacity), -(-int(counted.sum()) // (max_images or 1)))
    order, starts = samples.spelled_out(_best_rows(samples, max_images, bound))
    return Packs(capacity, tokens, order, starts)


def _best_rows(samples: SortedSamples, max_images: int | None, bound: int) -> list[Rows]:
    """Packs the longest samples first; where images are short as well, also evenly, if that takes fewer."""
    capacity, limit = samples.capacity, max_images or 0
    ways: list[FillOne] = [partial(_longest_first, room=capacity, images=limit)]
    if max_images is not None:
        ways += [
            partial(balanced, capacity=capacity, max_images=limit, tolerance=tolerance, early=early)
            for tolerance, early in _BALANCED
        ]
    best: list[Rows] = []
    for fill_one in ways:
        rows = samples.rows(fill_one)
        if not best or _packs(rows) < _packs(best):
            best = rows
        if _packs(best) <= _GOOD * bound:
            break
    return best


def _packs(rows: Sequence[Rows]) -> int:
    return sum(row.repeats for row in rows)


def _longest_first(shelves: Sequence[Shelf], room: int, images: int) -> list[Slot]:
    """Takes the samples of one pack, which may hold ``room`` tokens and ``images`` images."""
    pack: list[Slot] = []
    while room:
        fitting = [shelf for shelf in shelves if shelf.lengths and shelf.images <= images]
        found = longest_fitting(fitting, room)
        if found is None:
            break
        shelf, length = found
        pair = exact_pair(fitting, room, images) if pack and length != room else None
        if pair:
            return [*pack, *(shelf.take(length) for shelf, length in pair)]
        pack.append(shelf.take(length))
        room, images = room - length, images - shelf.images
    return pack


def _check(tokens: Integers, images: Integers, capacity: int, max_images: int | None) -> None:
    """Raises a DataError if a sample fits into no pack."""
    if len(tokens) != len(images):
        raise DataError(f"{len(tokens)} lengths, but {len(images)} image counts", hint="give both for each")
    for wrong, what, hint in (
        (tokens < 1, "has no tokens", "leave it out"),
        (tokens > capacity, f"is longer than a pack of {capacity} tokens", "raise pack_length"),
        (images > (np.inf if max_images is None else max_images),
         f"has more images than a pack of {max_images}", "raise pack_images"),
    ):  # fmt: skip
        if wrong.any():
            number = int(np.flatnonzero(wrong)[0])
            about = f"({tokens[number]} tokens, {images[number]} images)"
            raise DataError(f"sample {number} {about} {what}", hint=hint)
