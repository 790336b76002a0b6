"""The paper's two filters of grounded captions (section 2.2.1), and what each of them refuses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace

from vila2.plugin import Box, Reject, area

from vila2_grounding.grounded import SHORTEST, Grounded, Phrase

#: Largest share of the image that a box may cover, and largest number of a category's instances in it.
LARGEST, MOST = 0.70, 3


def filtered(
    grounded: Grounded, *, largest: float = LARGEST, most: int = MOST
) -> tuple[Grounded | None, tuple[Reject, ...]]:
    """Applies the two filters to a grounded caption.

    The first filter drops boxes over 70% of the image, and then an image without any box. The second drops an
    image with more than three instances of a category. A box of exactly 70% and a category of exactly three
    stay. An instance is a box: two phrases of one category with the same box are one instance. A box that is
    too small to be written as text is dropped, too.

    Args:
        grounded: Caption to filter.
        largest: Largest share of the image that a box may cover.
        most: Largest number of instances of one category.

    Returns:
        The filtered caption (None where the image is dropped), and everything that was refused.
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
    """The reason to drop a box, or None where it stays."""
    if area(box) > largest + 1e-9:  # 0.8 - 0.1 is a little more than 0.7
        return "large-box"
    return "tiny-box" if min(box[2] - box[0], box[3] - box[1]) < SHORTEST else None


def _without(dropped: Collection[Box], phrases: tuple[Phrase, ...]) -> Iterator[Phrase]:
    for phrase in phrases:
        boxes = tuple(box for box in phrase.boxes if box not in dropped)
        if boxes:
            yield replace(phrase, boxes=boxes)
