"""Plans packs: which samples share a row of limited length.

Each pack starts with the longest sample that is left. It is filled with one or two samples that fit the rest
exactly, otherwise with the longest that fits. The lengths that are left are the bits of one integer. So its
highest bit answers what fits best, and a single `&` answers which two samples fill the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vila2.errors import DataError

Integers = NDArray[np.integer[Any]]


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
    shelves = _shelves(tokens, counted, capacity, seed)
    order: list[int] = []
    starts = [0]
    while any(shelf.lengths for shelf in shelves):
        order += _fill_one(shelves, capacity, max_images or 0)
        starts.append(len(order))
    return Packs(capacity, tokens, np.array(order, np.int64), np.array(starts, np.int64))


class _Shelf:
    """Holds the samples that are left with one number of images, by length."""

    def __init__(self, images: int, capacity: int) -> None:
        self.images = images
        self.capacity = capacity
        self.stacks: dict[int, list[int]] = {}
        self.lengths = 0  # bit n is set if there is a sample of n tokens
        self.mirrored = 0  # bit capacity - n is set if there is one

    def put(self, length: int, samples: list[int]) -> None:
        self.stacks[length] = samples
        self.lengths |= 1 << length
        self.mirrored |= 1 << (self.capacity - length)

    def take(self, length: int) -> int:
        stack = self.stacks[length]
        sample = stack.pop()
        if not stack:
            self.lengths ^= 1 << length
            self.mirrored ^= 1 << (self.capacity - length)
        return sample

    def longest(self, room: int) -> int:
        """The longest length that fits into ``room`` tokens, or 0."""
        return (self.lengths & ((2 << room) - 1)).bit_length() - 1 if self.lengths else 0


def _shelves(tokens: Integers, images: Integers, capacity: int, seed: int) -> list[_Shelf]:
    """Shuffles the samples and sorts them into shelves by number of images."""
    shuffled = np.random.default_rng(seed).permutation(len(tokens))
    by_class = shuffled[np.lexsort((tokens[shuffled], images[shuffled]))]
    kinds = np.stack([images[by_class], tokens[by_class]], axis=1)
    firsts = np.flatnonzero(np.any(kinds[1:] != kinds[:-1], axis=1)) + 1
    shelves: dict[int, _Shelf] = {}
    for samples in np.split(by_class, firsts) if len(by_class) else []:
        count, length = int(images[samples[0]]), int(tokens[samples[0]])
        shelves.setdefault(count, _Shelf(count, capacity)).put(length, samples.tolist())
    return list(shelves.values())


def _fill_one(shelves: list[_Shelf], room: int, images: int) -> list[int]:
    """Takes the samples of one pack, which may hold ``room`` tokens and ``images`` images."""
    pack: list[int] = []
    while room:
        fitting = [shelf for shelf in shelves if shelf.lengths and shelf.images <= images]
        best = max(fitting, key=lambda shelf: (shelf.longest(room), -shelf.images), default=None)
        length = best.longest(room) if best else 0
        if best is None or length <= 0:
            break
        pair = _exact_pair(fitting, room, images) if pack and length != room else None
        if pair:
            return [*pack, *(shelf.take(length) for shelf, length in pair)]
        pack.append(best.take(length))
        room, images = room - length, images - best.images
    return pack


def _exact_pair(shelves: list[_Shelf], room: int, images: int) -> list[tuple[_Shelf, int]] | None:
    """Finds two samples whose lengths add up to ``room``, one of them as long as possible."""
    found: tuple[int, _Shelf, _Shelf] | None = None
    for long in shelves:
        for short in shelves:
            if long.images + short.images > images:
                continue
            # Bit n of the shifted integer is set if there is a sample of room - n tokens.
            both = long.lengths & (short.mirrored >> (short.capacity - room))
            length = both.bit_length() - 1
            if length <= 0 or length < room - length or (found and length <= found[0]):
                continue
            if long is short and 2 * length == room and len(long.stacks[length]) < 2:
                continue
            found = (length, long, short)
    return [(found[1], found[0]), (found[2], room - found[0])] if found else None


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
