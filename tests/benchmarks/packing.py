"""Plans of packs against the best-fit of TRL and the knapsack of LLaMA-Factory, and against what is possible.

Neither package is needed: their algorithms stand below as they publish them. Lengths are those of VILA's
mixture: 81% image-text pairs, 19% interleaved documents.
"""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.harness import Comparison, rates
from vila2.packing.plan import Packs, plan_packs

_COUNT, _CAPACITY = 1_000_000, 4096
_FEW = 50_000  # samples for the knapsack, whose time grows with their square
_IMAGE_TOKENS = 196
_BEST_FIT = "best-fit decreasing, as in TRL"
_ROWS_CAUSE = "each row of like packs is planned by Python; fewer samples have fewer like packs"


def compare() -> Iterator[Comparison]:
    """Measures rates, waste, and how near plans with a limit on images come to the bound."""
    tokens, images = mixture(_COUNT)
    found: list[Packs] = []
    theirs: list[list[list[int]]] = []

    def ours() -> int:
        found[:] = [plan_packs(tokens, images, capacity=_CAPACITY)]
        return len(tokens)

    def best_fit() -> int:
        theirs[:] = [_best_fit(tokens.tolist(), _CAPACITY)]
        return len(tokens)

    mine, peer = rates(ours, best_fit, repeats=1)
    _check(tokens, found[0])
    yield Comparison("packing: 1M samples", mine, peer, "samples/s", 19, _BEST_FIT, _ROWS_CAUSE)
    waste = [packs * _CAPACITY / int(tokens.sum()) - 1 for packs in (len(found[0]), len(theirs[0]))]
    yield Comparison(
        "packing: tokens over wasted places", 1 / waste[0], 1 / waste[1], "tokens", 1.5, _BEST_FIT
    )
    few = tokens[:_FEW]
    mine, peer = rates(lambda: _packed(few), lambda: _counted(_knapsack(few.tolist(), _CAPACITY)))
    yield Comparison(
        "packing: 50,000 samples", mine, peer, "samples/s", 1, "knapsack, as in LLaMA-Factory", _ROWS_CAUSE
    )
    yield from _with_images()


def _with_images() -> Iterator[Comparison]:
    """Plans with a limit on images: where images alone bind, where both bind, where tokens alone bind."""
    tokens, images = mixture(20_000)
    even = _CAPACITY * images.sum() / tokens.sum()  # images of a pack, if tokens alone bind
    for share, what in ((0.5, "images bind"), (1.0, "both bind"), (2.0, "tokens bind")):
        limit = max(round(even * share), int(images.max()))
        plan = plan_packs(tokens, images, capacity=_CAPACITY, max_images=limit)
        _check(tokens, plan, images, limit)
        bound = max(-(-int(tokens.sum()) // _CAPACITY), -(-int(images.sum()) // limit))
        yield Comparison(
            f"packing: at most {limit} images, {what}", bound / len(plan), 1.0, "of the bound", 0.98,
            "fewest packs that could hold all", "no way is known to reach the bound for all lengths",
        )  # fmt: skip


def mixture(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lengths in tokens and numbers of images of samples like those of VILA's pretraining."""
    dice = np.random.default_rng(0)
    pair = dice.random(count) < 0.81
    images = np.where(pair, 1, dice.integers(2, 7, count))
    words = np.where(pair, dice.lognormal(4, 0.7, count), dice.lognormal(6, 0.6, count))
    return np.minimum(_IMAGE_TOKENS * images + words.astype(np.int64) + 1, _CAPACITY), images


def _packed(tokens: NDArray[np.int64]) -> int:
    return len(plan_packs(tokens, np.zeros_like(tokens), capacity=_CAPACITY).order)


def _counted(packs: list[list[int]]) -> int:
    return sum(map(len, packs))


def _check(
    tokens: NDArray[np.int64], plan: Packs, images: NDArray[np.int64] | None = None, limit: int = 0
) -> None:
    """Asserts that every sample is there once and no pack is above a limit."""
    assert np.array_equal(np.sort(plan.order), np.arange(len(tokens)))
    assert np.add.reduceat(tokens[plan.order], plan.starts[:-1]).max() <= _CAPACITY
    assert images is None or np.add.reduceat(images[plan.order], plan.starts[:-1]).max() <= limit


class _SegmentTree:
    """The rooms that packs have left, with a search for the smallest that is large enough."""

    def __init__(self, largest: int) -> None:
        self.size = 1 << (largest - 1).bit_length()
        self.tree = [0] * (2 * self.size)

    def put(self, room: int, value: int) -> None:
        tree, place = self.tree, self.size + room - 1
        tree[place] = value
        while place > 1:
            place >>= 1
            left, right = tree[2 * place], tree[2 * place + 1]
            tree[place] = left if left >= right else right

    def search(self, length: int) -> int:
        place = 1
        while place < self.size:
            place *= 2
            if self.tree[place] < length:
                place += 1
        return self.tree[place]


def _best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Best-fit decreasing with a segment tree, as ``trl.pack_dataset(strategy="bfd")`` does it."""
    tree = _SegmentTree(capacity)
    tree.put(capacity, capacity)
    rooms: defaultdict[int, deque[list[int]]] = defaultdict(deque)
    packs: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        length = lengths[number]
        room = tree.search(length)
        if room < capacity:
            pack = rooms[room].popleft()
            if not rooms[room]:
                tree.put(room, 0)
        else:
            pack = []
            packs.append(pack)
        pack.append(number)
        left = room - length
        if left:
            rooms[left].append(pack)
            tree.put(left, left)
    return packs


def _knapsack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """The greedy knapsack of LLaMA-Factory: the longest that fits, found in a sorted list."""
    samples: defaultdict[int, list[int]] = defaultdict(list)
    for number, length in enumerate(lengths):
        samples[length].append(number)
    left, packs = sorted(lengths), []
    pop: Callable[[int], int] = left.pop
    while left:
        pack, room = [], capacity
        while place := bisect(left, room):
            length = pop(place - 1)
            pack.append(samples[length].pop())
            room -= length
        packs.append(pack)
    return packs
