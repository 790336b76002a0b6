"""The samples that are left to pack, sorted by kind: their length and number of images.

The lengths that are left are the bits of one integer. So its highest bit answers what fits best, and a single
`&` answers which two samples fill a room exactly. What goes into a pack depends on which kinds are left, not
on how many of each; so a pack is repeated until one of its kinds runs out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer[Any]]


class Shelf:
    """Holds the samples that are left with one number of images, by length."""

    def __init__(self, images: int, capacity: int) -> None:
        self.images = images
        self.capacity = capacity
        self.samples = self.tokens = 0  # of all that are left
        self.left: dict[int, int] = {}  # how many samples of a length are left
        self.tops: dict[int, int] = {}  # the place of the one that is taken next; the others stand before it
        self.lengths = 0  # bit n is set if there is a sample of n tokens
        self.mirrored = 0  # bit capacity - n is set if there is one

    def put(self, length: int, first: int, count: int) -> None:
        """Adds all samples of a length, which stand at ``first`` and behind it."""
        self.left[length] = count
        self.tops[length] = first + count - 1
        self.samples += count
        self.tokens += length * count
        self.lengths |= 1 << length
        self.mirrored |= 1 << (self.capacity - length)

    def take(self, length: int, count: int = 1) -> Slot:
        """Takes samples of a length; returns the first of them."""
        top = self.tops[length]
        self.tops[length] -= count
        self.left[length] -= count
        self.samples -= count
        self.tokens -= length * count
        if not self.left[length]:
            self.lengths ^= 1 << length
            self.mirrored ^= 1 << (self.capacity - length)
        return Slot(self, length, top)

    def longest(self, room: int) -> int:
        """The longest length of at most ``room`` tokens, or a number below 1."""
        return (self.lengths & ((2 << room) - 1)).bit_length() - 1 if self.lengths else 0

    def shortest_above(self, length: int) -> int:
        """The shortest length of more than ``length`` tokens, or 0."""
        above = self.lengths >> (length + 1)
        return length + (above & -above).bit_length() if above else 0


class Slot(NamedTuple):
    """A place in a pack: the kind of its sample, and the sample's place among all that are sorted by kind."""

    shelf: Shelf
    length: int
    top: int


class Rows(NamedTuple):
    """Packs of the same kinds of samples: the first of them, and how many there are."""

    pack: list[Slot]
    repeats: int


#: Takes the samples of one pack from shelves that are not empty.
FillOne = Callable[[Sequence[Shelf]], list[Slot]]


class SortedSamples:
    """All samples, shuffled and then sorted by kind.

    Args:
        tokens: length of each sample.
        images: number of images of each sample.
        capacity: largest number of tokens of a pack.
        seed: seed of the shuffle.
    """

    def __init__(self, tokens: Integers, images: Integers, capacity: int, seed: int) -> None:
        self.capacity = capacity
        shuffled = np.random.default_rng(seed).permutation(len(tokens))
        by_length = shuffled[_stable_order(tokens[shuffled])]
        self.samples = by_length[_stable_order(images[by_length])]
        self._kinds = np.stack([images[self.samples], tokens[self.samples]], axis=1)

    def shelves(self) -> list[Shelf]:
        """Puts all samples into shelves."""
        firsts = np.flatnonzero(np.any(self._kinds[1:] != self._kinds[:-1], axis=1)) + 1
        bounds = [0, *firsts.tolist(), len(self.samples)] if len(self.samples) else []
        shelves: dict[int, Shelf] = {}
        for first, end in pairwise(bounds):
            images, length = self._kinds[first].tolist()
            shelves.setdefault(images, Shelf(images, self.capacity)).put(length, first, end - first)
        return list(shelves.values())

    def rows(self, fill_one: FillOne) -> list[Rows]:
        """Packs all samples; the packs of a row are alike."""
        shelves, rows = self.shelves(), []
        while any(shelf.lengths for shelf in shelves):
            pack = fill_one(shelves)
            rows.append(Rows(pack, _repeated(pack)))
        return rows

    def spelled_out(self, rows: Sequence[Rows]) -> tuple[Integers, Integers]:
        """Lists the samples of all packs, and where each pack starts."""
        tops, strides = [], []  # of each slot: its sample in the first pack, and how far that of the next is
        for row in rows:
            needed = Counter((slot.shelf, slot.length) for slot in row.pack)
            tops += [slot.top for slot in row.pack]
            strides += [needed[slot.shelf, slot.length] for slot in row.pack]
        counts = np.array([row.repeats for row in rows], np.int64)
        sizes = np.array([len(row.pack) for row in rows], np.int64)
        alike = np.repeat(np.arange(len(rows)), counts)  # the row that each pack belongs to
        turn = np.arange(len(alike)) - (np.cumsum(counts) - counts)[alike]
        starts = np.concatenate([[0], np.cumsum(sizes[alike])])
        pack = np.repeat(np.arange(len(alike)), sizes[alike])
        slot = np.arange(len(pack)) - starts[pack] + (np.cumsum(sizes) - sizes)[alike[pack]]
        places = np.array(tops, np.int64)[slot] - turn[pack] * np.array(strides, np.int64)[slot]
        return self.samples[places], starts


def exact_pair(shelves: Sequence[Shelf], room: int, images: int) -> list[tuple[Shelf, int]] | None:
    """Finds two samples whose lengths add up to ``room``, one of them as long as possible."""
    found: tuple[int, Shelf, Shelf] | None = None
    for long in shelves:
        for short in shelves:
            if long.images + short.images > images:
                continue
            # Bit n of the shifted integer is set if there is a sample of room - n tokens.
            both = long.lengths & (short.mirrored >> (short.capacity - room))
            length = both.bit_length() - 1
            if length <= 0 or length < room - length or (found and length <= found[0]):
                continue
            if long is short and 2 * length == room and long.left[length] < 2:
                continue
            found = (length, long, short)
    return [(found[1], found[0]), (found[2], room - found[0])] if found else None


def longest_fitting(shelves: Sequence[Shelf], room: int) -> tuple[Shelf, int] | None:
    """Finds the longest sample that fits; of several, the one with the fewest images."""
    best = max(shelves, key=lambda shelf: (shelf.longest(room), -shelf.images), default=None)
    length = best.longest(room) if best else 0
    return (best, length) if best and length > 0 else None


def _repeated(pack: list[Slot]) -> int:
    """Takes the samples of all further packs like this one; counts them, and this one."""
    needed = Counter((slot.shelf, slot.length) for slot in pack)
    further = min(shelf.left[length] // count for (shelf, length), count in needed.items())
    for (shelf, length), count in needed.items() if further else ():
        shelf.take(length, further * count)
    return 1 + further


def _stable_order(values: Integers) -> Integers:
    """The order that sorts values; numpy sorts short integers in a tenth of the time of long ones."""
    short = np.uint16 if len(values) and values.max() < 2**16 else values.dtype
    return np.argsort(values.astype(short), kind="stable")
