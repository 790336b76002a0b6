"""Finds where a text introduces things.

"There is a dog, a cat and another dog" introduces three; "next to a dog" and "larger than a cat" introduce
none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vila2.claims.denials import Span
from vila2.claims.names import STOPS

#: Words before things that a text introduces.
_SHOWN = re.compile(
    r"(?:\bthere\s+(?:is|are)|\bthere['’]s|\b(?:we|you|I)\s+(?:can\s+)?(?:also\s+)?see|\b(?:image|picture|photo|"
    r"photograph|scene)\s+(?:also\s+)?(?:shows|has|contains|includes|depicts|features|with|of))"
    r"\s+(?:also\s+|only\s+|exactly\s+)?$",
    re.IGNORECASE,
)
_BEGINS = re.compile(r"(?:^[\W\d]*|[.!?:;]\s+|\n\W*)$")
_SEPARATOR = re.compile(r"\s*[,:]\s*(?:and\s+)?|\s+and\s+", re.IGNORECASE)
_DEFINITE = re.compile(r"(?:the|this|that|these|those)\s", re.IGNORECASE)
_ARTICLE = re.compile(r"(?P<another>another)\s|an?\s", re.IGNORECASE)
_NEAR = 60  # characters to look back; a text may be of any length


def introduced(text: str, named: Sequence[Span]) -> list[bool]:
    """Tells of each name in a text whether it introduces a new thing.

    "Another" always introduces one. "A" does at the beginning of a sentence, after "there is" and the like,
    and in a list after a name that does. A thing that others relate to ("next to a dog") or are compared with
    ("like a dog") may have been named before.

    Args:
        text: text with the names.
        named: spans of the names with their articles, in order.
    """
    found: list[bool] = []
    for (start, _), shown in zip(named, shown_in(text, named), strict=True):
        article = _ARTICLE.match(text, start)
        found.append(bool(article and (article["another"] or shown)))
    return found


def shown_in(text: str, named: Sequence[Span], *, begin: bool = True) -> list[bool]:
    """Tells of each name in a text whether it stands where things are introduced.

    Args:
        text: text with the names.
        named: spans of the names with their articles, in order.
        begin: whether the beginning of a sentence is such a place.
    """
    found: list[bool] = []
    for number, (start, _) in enumerate(named):
        before = text[max(0, start - _NEAR) : start]
        listed = number > 0 and found[-1] and only_lists(text, named[number - 1][1], start)
        shown = listed or _SHOWN.search(before) or (begin and _BEGINS.search(before))
        found.append(bool(shown) and not _DEFINITE.match(text, start))
    return found


def only_lists(text: str, end: int, start: int) -> bool:
    """Whether the text between two places only continues a list: commas, "and", names without an article."""
    items = _SEPARATOR.split(text[end:start]) if start - end <= 2 * _NEAR else []
    words = [word for item in items for word in item.lower().split()]
    plain = not any(word in STOPS or (word.endswith(("ing", "ed")) and word != "red") for word in words)
    return len(items) > 1 and not items[0] and not items[-1] and len(words) <= 4 * (len(items) - 2) and plain
