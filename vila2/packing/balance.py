"""Fills packs where tokens and images both run out: each pack gets as many tokens an image as are left.

Packs that take the longest sample first take those with much text first. What is left then has many images
for its tokens, so that the last packs are full of images and half empty. Here a pack starts with the longest
sample as well, but every further one brings what is left of the pack closest to the ratio of what is left of
all samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vila2.packing.shelves import Shelf, Slot, exact_pair, longest_fitting


def balanced(
    shelves: Sequence[Shelf], capacity: int, max_images: int, tolerance: float, early: int
) -> list[Slot]:
    """Takes the samples of one pack.

    Args:
        shelves: samples that are left.
        capacity: largest number of tokens.
        max_images: largest number of images.
        tolerance: share of the room that a sample may be off the ratio; within it, the longest is taken.
        early: number of images below their share at which two samples may end the pack.
    """
    left_images = sum(shelf.images * shelf.samples for shelf in shelves)
    ratio = sum(shelf.tokens for shelf in shelves) / left_images if left_images else float(capacity)
    room, images = capacity, max_images
    # What of the pack can be used while it keeps to the ratio.
    share_tokens, share_images = min(capacity, ratio * max_images), min(max_images, capacity / ratio)
    pack: list[Slot] = []
    while room:
        fitting = [shelf for shelf in shelves if shelf.lengths and shelf.images <= images]
        chosen = longest_fitting(fitting, room)
        if chosen is None:
            break
        if pack and chosen[1] != room:
            pair = exact_pair(fitting, room, images)
            if pair and sum(shelf.images for shelf, _ in pair) >= share_images - early:
                return [*pack, *(shelf.take(length) for shelf, length in pair)]
        if pack and share_images >= 1:
            near = _near(fitting, room, share_tokens - ratio * share_images, ratio)
            chosen = min(near, key=lambda one: (max(one[0] - tolerance * share_tokens, 0), -one[2]))[1:]
        shelf, length = chosen
        pack.append(shelf.take(length))
        room, images = room - length, images - shelf.images
        share_tokens, share_images = share_tokens - length, share_images - shelf.images
    return pack


def _near(
    shelves: Sequence[Shelf], room: int, above: float, ratio: float
) -> Iterator[tuple[float, Shelf, int]]:
    """Of each shelf, the two lengths next to the one that restores the ratio, and how far they are from it.

    Args:
        shelves: shelves of which one sample fits at least.
        room: largest length.
        above: number of tokens by which the pack's rest is above the ratio.
        ratio: tokens an image.
    """
    for shelf in shelves:
        wanted = above + ratio * shelf.images
        below = shelf.longest(min(max(int(wanted), 0), room))
        for length in (below, shelf.shortest_above(max(int(wanted), 0))):
            if 0 < length <= room:
                yield abs(length - wanted), shelf, length
