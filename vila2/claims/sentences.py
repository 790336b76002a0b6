"""Splits a text into sentences."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

# Each run of periods, and each quote, is looked at once: texts of nothing else take no quadratic time.
_END = re.compile(r"(?:(?<![.!?。])[.!?。]++[\"'”’)\]]*+(?=\s)|\n)\s*")
_QUOTED = re.compile(r"(?<!\d)\"[^\"\n]*\"|“[^“”\n]*”")  # 5" is a measure
_LIST_NUMBER = re.compile(r"\d{1,3}\.")
_ABBREVIATED = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|no|vs|etc|e\.g|i\.e|approx|ca|fig|jr|sr|inc|ltd)|\b[A-Za-z])\.$", re.I
)


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Finds the sentences of a text.

    A sentence ends at a line's end, or at a period that neither belongs to an abbreviation nor stands within
    quotes. The number of a list item belongs to the item.

    Yields:
        The place of the sentence's first character, and the place behind its last.
    """
    quotes = [hit.span() for hit in _QUOTED.finditer(text)]
    starts = [start for start, _ in quotes]
    start = 0
    for hit in _END.finditer(text):
        end = hit.start() + len(hit.group().rstrip())
        quote = bisect_left(starts, end) - 1
        in_quotes = quote >= 0 and end < quotes[quote][1]
        following = text[hit.end() : hit.end() + 1]
        goes_on = text[end - 1 : end] in "\"'”’" and following.islower()
        # "etc." may end a sentence, as a title before a name does not.
        abbreviated = _ABBREVIATED.search(text, max(start, end - 10), end) and not (
            text[max(start, end - 4) : end].lower() == "etc." and following.isupper()
        )
        if "\n" not in hit.group() and (
            in_quotes or goes_on or abbreviated or _LIST_NUMBER.fullmatch(text, start, end)
        ):
            continue
        yield from _trimmed(text, start, hit.end())
        start = hit.end()
    yield from _trimmed(text, start, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    start, end = start + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()))
    if end > start:
        yield start, end
