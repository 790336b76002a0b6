"""Articles and plurals of English nouns."""

from __future__ import annotations


def plural(noun: str) -> str:
    """The plural of a shape name or of "object"."""
    return noun + "s"


def article(phrase: str) -> str:
    """``phrase`` with "a" or "an" before it."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase
