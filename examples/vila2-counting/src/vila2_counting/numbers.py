"""Counts in words: "two cubes and one ball" to numbers by kind and back."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_VALUES = {word: number for number, word in enumerate(WORDS)} | {"zero": 0, "a": 1, "an": 1}
_COUNT = re.compile(
    rf"\b(?P<number>{'|'.join(_VALUES)}|\d{{1,6}})\s+(?P<kind>[a-z]+(?:[ -][a-z]+)?)\b", re.IGNORECASE
)
_NOT_A_KIND = {"of", "and", "or", "is", "are", "in"}


@dataclass(frozen=True, slots=True)
class Count:
    """A number of things of a kind, and where it stands in the text."""

    kind: str
    number: int
    start: int
    end: int


def phrase(kind: str, number: int) -> str:
    """ "two cubes", "one ball", "no cone", "12 cubes"."""
    word = WORDS[number] if number < len(WORDS) else str(number)
    return f"{word} {kind if number < 2 else plural(kind)}"


def listing(counts: Mapping[str, int]) -> str:
    """ "two cubes, one ball and one cone", kinds in order of the alphabet."""
    phrases = [phrase(kind, number) for kind, number in sorted(counts.items())]
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1]


def read_counts(text: str) -> Iterator[Count]:
    """Every count of a text, in order; a kind is read in the singular."""
    for found in _COUNT.finditer(text):
        word = found["number"].lower()
        kind = found["kind"].lower()
        words = kind.split(" ")
        if words[0] in _NOT_A_KIND:
            continue
        if len(words) == 2 and (words[1] in _NOT_A_KIND or words[1] in _VALUES):
            kind = words[0]
        end = found.start("kind") + len(kind)
        yield Count(singular(kind), _VALUES.get(word, int(word) if word.isdigit() else 0), found.start(), end)


def plural(kind: str) -> str:
    """The plural by rule; irregular nouns keep their singular's letters and an s."""
    if re.search(r"(s|x|ch|sh)$", kind):
        return kind + "es"
    return kind[:-1] + "ies" if re.search(r"[^aeiou]y$", kind) else kind + "s"


def singular(kind: str) -> str:
    """What :func:`plural` was given; a word that is no plural stays as it is."""
    if re.search(r"(s|x|ch|sh)es$", kind):
        return kind[:-2]
    if kind.endswith("ies"):
        return kind[:-3] + "y"
    return kind[:-1] if kind.endswith("s") and not kind.endswith("ss") else kind
