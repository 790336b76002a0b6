"""Short answers: normalizing, comparing, and reading yes or no."""

from __future__ import annotations

import re
from typing import Literal

from vila2.engine.marks import is_refusal

_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
} | {"none": "0"}
_ARTICLES = frozenset({"a", "an", "the"})
_CONTRACTIONS = {
    "dont": "don't",
    "doesnt": "doesn't",
    "isnt": "isn't",
    "arent": "aren't",
    "cant": "can't",
    "wont": "won't",
    "didnt": "didn't",
    "wasnt": "wasn't",
    "couldnt": "couldn't",
    "theres": "there's",
    "thats": "that's",
    "whats": "what's",
}
_BETWEEN_DIGITS = re.compile(r"(?<=\d),(?=\d)")
_LONE_STOP = re.compile(r"(?<!\d)\.|\.(?!\d)")
_PUNCTUATION = re.compile(r"""[;/\[\]"{}()=+\\_\-><@`,?!:*]""")
#: Openings of answers, tried in this order; see :func:`yes_no`.
UNSURE = (
    r"(?:i am |i'm |it is |it's )?(?:not|un) ?(?:quite |entirely |really )?"
    r"(?:sure|certain|clear|possible|enough|known)\b",
    r"(?:no idea|no way (?:to|of)|maybe|perhaps|possibly)\b",
    r"(?:hard to|difficult to|impossible to|unknown|unclear)\b",
    r"(?:yes|true) (?:or|and|/) (?:no|false)\b|(?:no|false) (?:or|and|/) (?:yes|true)\b",
    r"(?:yes/no|true/false)\b",
)
NO = (
    r"(?:no|nope|nah|not|none|false|incorrect|wrong|untrue|negative)\b",
    r"(?:certainly|definitely|absolutely|of course|obviously|clearly) not\b",
    r"(?:there|it|he|she|they|this|that|these|those)"
    r"(?: is| are| was| were| does| do| has| have)(?:n't| not| no)\b",
    r"(?:it|this|that|the statement|this statement)(?: is|'s) (?:not|false|incorrect|wrong|untrue)\b",
    r"(?:the|this|that) (?:image|picture|photo|photograph|scene|statement)"
    r"(?: is| does| has)(?:n't| not| no)\b",
    r"i (?:do not|don't) see (?:an?|any|the|it|one)\b",
)
YES = (
    r"(?:yes|yeah|yep|yup|true|correct|affirmative|indeed|certainly|definitely|absolutely|of course)\b",
    r"(?:sure|right)(?=\W*$|[,.!;])",
    r"(?:there|it|he|she|they) (?:is|are|was|were|does|do)\b",
    r"(?:it|this|that|the statement|this statement)(?: is|'s) (?:true|correct|right|accurate)\b",
)
_UNSURE, _NO, _YES = (re.compile("|".join(rules)) for rules in (UNSURE, NO, YES))


def normalize_answer(text: str) -> str:
    """Brings an answer into the form in which VQA compares answers.

    The form is lowercase, without punctuation and articles, and with numbers as digits. As in the VQA
    evaluation, commas inside numbers go, periods stay only between digits ("U.S." becomes "us"), other
    punctuation becomes a space, number words up to ten become digits, and "dont" becomes "don't".
    """
    text = text.lower().replace("’", "'").replace("\n", " ").replace("\t", " ")
    text = _BETWEEN_DIGITS.sub("", text)
    text = _LONE_STOP.sub("", _PUNCTUATION.sub(" ", text))
    words = [_NUMBERS.get(word, word) for word in text.split() if word not in _ARTICLES]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words)


def exact_match(answer: str, truth: str) -> bool:
    """Tells whether two answers are the same after :func:`normalize_answer`."""
    return normalize_answer(answer) == normalize_answer(truth)


def yes_no(text: str) -> Literal["yes", "no"] | None:
    """Reads the answer to a yes-or-no question, or to "true or false?"; None where it says neither.

    Only the opening is read, in lower case, without quotes and asterisks before it. The rules, in this order:

    - A refusal (:data:`vila2.engine.marks.REFUSALS`) or an opening of :data:`UNSURE` ("not sure", "yes or
      no") is None.
    - An opening of :data:`NO` ("no", "not", "false", "there is no", "it isn't") is no.
    - An opening of :data:`YES` ("yes", "true", "there is") is yes.
    - Everything else, such as a description, is None. Nothing is guessed.
    """
    text = text.lower().replace("’", "'").lstrip(" \t\n\"'“*#`([-:.,").strip()
    if is_refusal(text) or _UNSURE.match(text):
        return None
    if _NO.match(text):
        return "no"
    return "yes" if _YES.match(text) else None
