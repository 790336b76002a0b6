"""How right an answer about text is: ANLS, relaxed accuracy, containment, and equality of short answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?")
_SIGNS = re.compile(r"^(?:rm|usd|eur|gbp|[$€£¥])\s*", re.IGNORECASE)

#: ANLS gives 0 to an answer that is further from every reference than this.
LEAST_SIMILARITY = 0.5
#: Relaxed accuracy accepts a number that is off by at most this share (ChartQA).
TOLERANCE = Decimal("0.05")


def plain(text: str) -> str:
    """Text for comparison: lower case, with white space collapsed."""
    return " ".join(text.lower().split())


def bare(text: str) -> str:
    """Plain text without the quotes and the full stop around a short answer."""
    return plain(text).strip("\"'“”‘’ ").rstrip(". ").strip("\"'“”‘’ ")


def distance(one: str, other: str) -> int:
    """Levenshtein's distance: the least number of characters to insert, remove or replace."""
    if len(one) < len(other):
        one, other = other, one
    row = list(range(len(other) + 1))
    for number, character in enumerate(one, start=1):
        before, row[0] = row[0], number
        for place, against in enumerate(other, start=1):
            before, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, before + (character != against)),
            )
    return row[-1]


def similarity(one: str, other: str) -> float:
    """1 minus the distance of plain texts over the longer length, in 0..1. Two empty texts are alike."""
    one, other = plain(one), plain(other)
    longest = max(len(one), len(other))
    return 1 - distance(one, other) / longest if longest else 1.0


def anls(answer: str, references: Sequence[str]) -> float:
    """ANLS of one answer (Biten et al. 2019): the greatest similarity to a reference; below one half it is 0.

    Raises:
        ValueError: there are no references.
    """
    best = max(similarity(answer, reference) for reference in references)
    return best if best >= LEAST_SIMILARITY else 0.0


def number_of(text: str) -> Decimal | None:
    """The number that a text is: "1,000", "50%" (0.5), "$ 3.50"; None for anything else.

    "1.234,56" and "3 500" give None, because the meaning of their marks depends on the country.
    """
    text = _SIGNS.sub("", text.strip().rstrip("."))
    percent = text.endswith("%")
    digits = text.removesuffix("%").strip()
    if not any(character.isdigit() for character in digits) or not digits.isascii():
        return None
    if _NUMBER.fullmatch(digits) is None:
        return None
    value = Decimal(digits.replace(",", ""))
    return value / 100 if percent else value


def relaxed_match(answer: str, reference: str) -> bool:
    """Relaxed accuracy of one answer (ChartQA): numbers within 5% of the reference, other texts equal.

    A reference of 0 allows 0 only. "50%" equals 0.5. It also equals "50" where the reference is "50%":
    data sets leave out the sign on one side.
    """
    said, true = number_of(answer), number_of(reference)
    if said is None or true is None:
        return bare(answer) == bare(reference)
    scales = [said]
    if answer.strip().endswith("%") != reference.strip().rstrip(".").endswith("%"):
        scales.append(said * 100 if answer.strip().endswith("%") else said / 100)
    return any(abs(value - true) <= TOLERANCE * abs(true) for value in scales)


def contains(answer: str, references: Sequence[str]) -> bool:
    """Containment (OCRBench): whether a reference stands in the answer, as plain text."""
    return any(plain(reference) in plain(answer) for reference in references)
