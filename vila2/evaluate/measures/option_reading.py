"""Which option an answer chooses, as the evaluations of MMBench, ScienceQA, SEED and MMMU read it.

Where the published evaluations ask a language model or throw dice, the answer here is unread, and so wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_FORMS = (
    *("{}.", "{},", "{}:", "{})", "{}).", "({})", "({})."),
    *(":{}", ":{},", ":{}.", ":{})", ":{})."),
)
_MMBENCH = "ABCDE"
_LONG_FROM = 5  # words, above which MMMU looks for the text of a choice
_ENDS = (",", ".", "!", "?", ";", ":", "'")
#: Words behind which MMMU looks for an open answer.
_INTRODUCTIONS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_NUMBERS = (
    re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b"),
    re.compile(r"-?\d+(?:\.\d+)?[eE][+-]?\d+"),
    re.compile(r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])"),
)


def mmbench_option(text: str, choices: Mapping[str, str]) -> str | None:
    """The one letter that stands as a word, alone or with a sign; else the one choice whose text is there."""
    words = text.split()
    found = [letter for letter in _MMBENCH if letter in words]
    # "A" in a longer sentence is an article.
    if len(found) == 1 and not ("A" in words and len(words) > 3):
        return found[0]
    for form in _FORMS:
        found = [letter for letter in _MMBENCH if form.format(letter) in words]
        if len(found) == 1:
            return found[0]
    held = [letter for letter, choice in choices.items() if choice.lower() in text.lower()]
    return held[0] if len(held) == 1 else None


def scienceqa_option(text: str) -> str | None:
    """The letter that is the whole answer, in any case, or a capital one with a full stop at its start."""
    text = text.strip()
    if len(text) == 1:
        return text.upper()
    return text[0] if len(text) >= 2 and text[0].isupper() and text[1] == "." else None


def first_letter(text: str) -> str | None:
    """The first letter of the answer, in upper case, whatever follows; SEED's rule."""
    return text.strip()[:1].upper() or None


def mmmu_option(text: str, choices: Mapping[str, str]) -> str | None:
    """The letter in brackets, before a space or before a full stop; else the choice whose text is there.

    Of several, the last in the answer.
    """
    for end in _ENDS:
        text = text.strip(end)
    text = f" {text} "
    for form, place in (("({})", "({})"), ("{} ", " {} "), ("{}.", " {} ")):
        if found := [letter for letter in choices if form.format(letter) in text]:
            return max(found, key=lambda letter: text.rfind(place.format(letter)))
    if len(text.split()) <= _LONG_FROM:
        return None
    lowered = text.lower()
    held = [letter for letter, choice in choices.items() if choice.lower() in lowered]
    return max(held, key=lambda letter: lowered.rfind(choices[letter].lower()), default=None)


def mmmu_open_is_right(text: str, answers: Sequence[str]) -> bool:
    """Whether what stands behind an introduction ("the answer is ...") holds a right text or number."""
    right = [form for answer in answers for form in _forms(answer)]
    pieces = _key_pieces(text)
    said = [form for piece in pieces for form in _forms(piece)]
    said += [form for piece in pieces for rule in _NUMBERS for n in rule.findall(piece) for form in _forms(n)]
    return any(
        any(isinstance(one, str) and one in form for one in right) if isinstance(form, str) else form in right
        for form in said
    )


def _key_pieces(text: str) -> list[str]:
    """The shortest piece behind an introduction, of each line; the whole answer where there is none."""
    whole = text.strip().strip(".").lower()
    lines = whole.split("\n")
    found = []
    for number, line in enumerate(lines):
        known = (*_INTRODUCTIONS, "=") if number == len(lines) - 1 else _INTRODUCTIONS
        pieces = [line.split(one)[-1].strip() for one in known if one in line]
        shortest = _shortest(pieces)
        if shortest and shortest not in _ENDS:
            found.append(shortest)
    return found or [whole]


def _shortest(pieces: Sequence[str]) -> str:
    """The first of the shortest, as the published loop finds it: an empty one gives way to the next."""
    found = ""
    for piece in pieces:
        if not found or len(piece) < len(found):
            found = piece
    return found


def _forms(text: str) -> list[str | float]:
    """A number with two decimals, or a text in lower case; a single letter only beside a space."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        lowered = text.lower()
        return [f" {lowered}", f"{lowered} "] if len(lowered) == 1 else [lowered]
