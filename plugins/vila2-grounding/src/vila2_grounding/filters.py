"""The paper's two filters of grounded captions (section 2.2.1), and what each of them refuses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace

from vila2.plugin import Box, Reject, area

from vila2_grounding.grounded import SHORTEST, Grounded, Phrase

#: A box may cover so much of the image, and an image may show so many instances of a category.
LARGEST, MOST = 0.70, 3


def filtered(
    grounded: Grounded, *, largest: float = LARGEST, most: int = MOST
) -> tuple[Grounded | None, tuple[Reject, ...]]:
    """Drops boxes over 70% of the image and images left without one; then images with more than 3 of a category.

    A box of exactly 70% and a category of exactly three stay. An instance is a box: two phrases of one category
    with the same box are one instance. Boxes too small to be written are dropped as well.

    Args:
        largest: share of the image.
        most: instances of one category.

    Returns:
        What is left, None for an image that is not to be used, and every refusal.
    """
    where, key = str(grounded.meta.get("image", grounded.key)), grounded.key
    dropped: dict[Box, Reject] = {}
    for phrase in (*grounded.phrases, *grounded.expressions):
        for box in phrase.boxes:
            if box not in dropped and (reason := _reason(box, largest)):
                detail = f"{phrase.category} covers {area(box):.2%} of the image"
                dropped[box] = Reject(where, key, reason, detail)
    rejects = list(dropped.values())
    left = replace(
        grounded,
        phrases=tuple(_without(dropped, grounded.phrases)),
        expressions=tuple(_without(dropped, grounded.expressions)),
    )
    if not left.instances:
        rejects.append(Reject(where, key, "no-box", f"{len(dropped)} boxes, none of them left"))
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


def _reason(box: Box, largest: float) -> str | None:
    """Why a box is dropped."""
    if area(box) > largest + 1e-9:  # 0.8 - 0.1 is a little more than 0.7
        return "large-box"
    return "tiny-box" if min(box[2] - box[0], box[3] - box[1]) < SHORTEST else None


def _without(dropped: Collection[Box], phrases: tuple[Phrase, ...]) -> Iterator[Phrase]:
    for phrase in phrases:
        boxes = tuple(box for box in phrase.boxes if box not in dropped)
        if boxes:
            yield replace(phrase, boxes=boxes)
