"""Where a text introduces things: "there is a dog, a cat and another dog"; not "next to a dog" nor "larger than a cat"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vila2.claims.denials import Span
from vila2.claims.names import STOPS

#: What stands before things that a text introduces.
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
_NEAR = 60  # characters that are looked back: a text may be of any length


def introduced(text: str, named: Sequence[Span]) -> list[bool]:
    """Whether each name in a text introduces a thing of its own: "a dog", where nothing but that is said of it.

    "Another" always does. "A" does where a sentence begins, after "there is" and the like, and in a list after one
    that does. What stands to something ("next to a dog") or is compared ("like a dog") may have been named before.

    Args:
        text: as it reads.
        named: the names in it, in order, articles among them.
    """
    found: list[bool] = []
    for (start, _), shown in zip(named, shown_in(text, named), strict=True):
        article = _ARTICLE.match(text, start)
        found.append(bool(article and (article["another"] or shown)))
    return found


def shown_in(text: str, named: Sequence[Span], *, begin: bool = True) -> list[bool]:
    """Whether each name in a text stands where a text introduces things; ``begin``: where a sentence begins, too."""
    found: list[bool] = []
    for number, (start, _) in enumerate(named):
        before = text[max(0, start - _NEAR) : start]
        listed = number > 0 and found[-1] and only_lists(text, named[number - 1][1], start)
        shown = listed or _SHOWN.search(before) or (begin and _BEGINS.search(before))
        found.append(bool(shown) and not _DEFINITE.match(text, start))
    return found


def only_lists(text: str, end: int, start: int) -> bool:
    """Whether only a list goes on between two places: a comma or "and", and names that have no article."""
    items = _SEPARATOR.split(text[end:start]) if start - end <= 2 * _NEAR else []
    words = [word for item in items for word in item.lower().split()]
    plain = not any(word in STOPS or (word.endswith(("ing", "ed")) and word != "red") for word in words)
    return len(items) > 1 and not items[0] and not items[-1] and len(words) <= 4 * (len(items) - 2) and plain
