"""GRIT's annotations of a caption: lists of ``[start, end, x1, y1, x2, y2, score]`` (Kosmos-2's README)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from vila2.plugin import Box, is_number

from vila2_grounding.grounded import Phrase
from vila2_grounding.phrases import category

#: The fields of a GRIT row.
CHUNKS, EXPRESSIONS = "noun_chunks", "ref_exps"
_ROUNDING = 1e-3  # largest distance that GRIT's clipped boxes reach out of the image


def is_grit(fields: Mapping[str, Any]) -> bool:
    """Whether a row, or a sample's meta, has GRIT's annotations."""
    return CHUNKS in fields or EXPRESSIONS in fields


def read_phrases(
    entries: Any, caption: str, refuse: Callable[[str, str], None], move: Callable[[Box], Box] | None = None
) -> tuple[Phrase, ...]:
    """The phrases of one list, in order of start and end.

    Entries with the same span are one phrase. Spans count the characters of the raw caption; Parquet stores
    them as floats. A span that begins or ends inside a word shows that the caption was changed later.

    Args:
        entries: List, or its JSON.
        caption: Caption as the row has it.
        refuse: Function that takes the reason and the detail of every entry that cannot be used.
        move: Function that moves a box of the original image to the image at hand, where the two differ.
    """
    if isinstance(entries, str):
        try:
            entries = json.loads(entries)
        except (ValueError, RecursionError):
            refuse("bad-annotation", f"{entries[:60]!r} is no JSON")
            return ()
    if not isinstance(entries, list):
        if entries is not None:
            refuse("bad-annotation", f"a {type(entries).__name__} instead of a list")
        return ()
    found: dict[tuple[int, int], list[Box]] = {}
    for entry in entries:
        read = _entry(entry, caption)
        if isinstance(read[0], str):
            refuse(*read)
            continue
        span, box = read
        boxes = found.setdefault(span, [])
        box = move(box) if move else box
        if box not in boxes:
            boxes.append(box)
    return tuple(
        Phrase(start, end, tuple(sorted(boxes)), category(caption[start:end]))
        for (start, end), boxes in sorted(found.items())
    )


def _entry(entry: Any, caption: str) -> tuple[tuple[int, int], Box] | tuple[str, str]:
    """The span and the box of an entry, or the reason and the detail of its refusal."""
    numbers = list(entry) if isinstance(entry, list | tuple) else []
    if len(numbers) not in (6, 7) or not all(map(is_number, numbers[:6])):
        return "bad-annotation", f"{str(entry)[:80]} is no [start, end, x1, y1, x2, y2, score]"
    start, end = numbers[:2]
    if start != int(start) or end != int(end) or not 0 <= start < end <= len(caption):
        return "bad-span", f"[{start}, {end}] of a caption of {len(caption)} characters"
    start, end = int(start), int(end)
    if _inside_word(caption, start) or _inside_word(caption, end) or not category(caption[start:end]):
        return (
            "bad-span",
            f"{caption[start:end]!r} is no phrase of {caption!r:.60}: was the caption changed?",
        )
    given = tuple(map(float, numbers[2:6]))
    if not all(-_ROUNDING <= side <= 1 + _ROUNDING for side in given):
        return "bad-box", f"{given} is not in unit coordinates of the image"
    left, top, right, bottom = (min(max(side, 0.0), 1.0) for side in given)
    box = left, top, right, bottom
    if box[0] >= box[2] or box[1] >= box[3]:
        return "bad-box", f"{box} has no area: x1 and y1 come first, then the larger x2 and y2"
    return (start, end), box


def _inside_word(text: str, place: int) -> bool:
    return 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()
