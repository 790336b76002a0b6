"""The paper's two filters of grounded captions (section 2.2.1), and what each of them refuses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from vila2.data.boxes import Box, area
from vila2.data.shards import Reject

from vila2_grounding.grounded import Grounded, Phrase

#: A box may cover so much of the image, and an image may show so many instances of a category.
LARGEST, MOST = 0.70, 3


def filtered(
    grounded: Grounded, *, largest: float = LARGEST, most: int = MOST
) -> tuple[Grounded | None, tuple[Reject, ...]]:
    """Drops boxes over 70% of the image and images left without one; then images with more than 3 of a category.

    A box of exactly 70% and a category of exactly three stay. An instance is a box: two phrases of one category
    with the same box are one instance.

    Args:
        largest: share of the image.
        most: instances of one category.

    Returns:
        What is left, None for an image that is not to be used, and every refusal.
    """
    where, key = str(grounded.meta.get("image", grounded.key)), grounded.key
    large = {
        box: phrase.category
        for phrase in (*grounded.expressions, *grounded.phrases)
        for box in phrase.boxes
        if area(box) > largest
    }
    rejects = [
        Reject(where, key, "large-box", f"{name} covers {area(box):.1%} of the image")
        for box, name in large.items()
    ]
    left = replace(
        grounded,
        phrases=tuple(_without(large, grounded.phrases)),
        expressions=tuple(_without(large, grounded.expressions)),
    )
    if not left.instances:
        rejects.append(Reject(where, key, "no-box", f"none of {len(large)} boxes is left"))
        return None, tuple(rejects)
    instances: defaultdict[str, set[Box]] = defaultdict(set)
    for phrase in left.instances:
        instances[phrase.category].update(phrase.boxes)
    crowded = {name: len(boxes) for name, boxes in instances.items() if len(boxes) > most}
    if crowded:
        detail = ", ".join(f"{number} {name}" for name, number in sorted(crowded.items()))
        rejects.append(Reject(where, key, "crowded", f"more than {most} of a category: {detail}"))
        return None, tuple(rejects)
    return left, tuple(rejects)


def _without(large: dict[Box, str], phrases: tuple[Phrase, ...]) -> Iterator[Phrase]:
    for phrase in phrases:
        boxes = tuple(box for box in phrase.boxes if box not in large)
        if boxes:
            yield replace(phrase, boxes=boxes)
