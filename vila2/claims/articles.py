"""Articles and plurals of English nouns."""

from __future__ import annotations


def plural(noun: str) -> str:
    """Makes the plural of a shape's name or of "object"."""
    return noun + "s"


def article(phrase: str) -> str:
    """Puts "a" or "an" before a phrase."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase
