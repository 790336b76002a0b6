"""Short answers: normalising, comparing, and the accuracy of VQA."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from vila2.engine.marks import is_refusal
from vila2.errors import DataError

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
#: The parser of yes and no: what an answer opens with, tried in this order; see :func:`yes_no`.
UNSURE = (
    r"(?:i am |i'm |it is |it's )?(?:not|un) ?(?:quite |entirely |really )?(?:sure|certain|clear|possible|enough|known)\b",
    r"(?:no idea|no way (?:to|of)|maybe|perhaps|possibly|hard to|difficult to|impossible to|unknown|unclear)\b",
    r"(?:yes|true) (?:or|and|/) (?:no|false)\b|(?:no|false) (?:or|and|/) (?:yes|true)\b|(?:yes/no|true/false)\b",
)
NO = (
    r"(?:no|nope|nah|not|none|false|incorrect|wrong|untrue|negative)\b",
    r"(?:certainly|definitely|absolutely|of course|obviously|clearly) not\b",
    r"(?:there|it|he|she|they|this|that|these|those)(?: is| are| was| were| does| do| has| have)(?:n't| not| no)\b",
    r"(?:it|this|that|the statement|this statement)(?: is|'s) (?:not|false|incorrect|wrong|untrue)\b",
    r"(?:the|this|that) (?:image|picture|photo|photograph|scene|statement)(?: is| does| has)(?:n't| not| no)\b",
    r"i (?:do not|don't) see (?:an?|any|the|it|one)\b",
)
YES = (
    r"(?:yes|yeah|yep|yup|true|correct|affirmative|indeed|certainly|definitely|absolutely|of course)\b",
    r"(?:sure|right)(?=\W*$|[,.!;])",
    r"(?:there|it|he|she|they) (?:is|are|was|were|does|do)\b",
    r"(?:it|this|that|the statement|this statement)(?: is|'s) (?:true|correct|right|accurate)\b",
)
_UNSURE, _NO, _YES = (re.compile("|".join(rules)) for rules in (UNSURE, NO, YES))


def normalise_answer(text: str) -> str:
    """An answer in the form in which VQA compares: lowercase, without punctuation and articles, numbers as digits.

    Follows the VQA evaluation: commas inside numbers go, stops stay only between digits ("U.S."
    reads "us"), other punctuation becomes a space, number words up to ten become digits, and "dont" reads "don't".
    """
    text = text.lower().replace("’", "'").replace("\n", " ").replace("\t", " ")
    text = _BETWEEN_DIGITS.sub("", text)
    text = _LONE_STOP.sub("", _PUNCTUATION.sub(" ", text))
    words = [_NUMBERS.get(word, word) for word in text.split() if word not in _ARTICLES]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words)


def exact_match(answer: str, truth: str) -> bool:
    """Whether two answers are the same after normalising."""
    return normalise_answer(answer) == normalise_answer(truth)


def yes_no(text: str) -> Literal["yes", "no"] | None:
    """What an answer to a yes-or-no question, or to "true or false?", says; None where that cannot be told.

    Read from its opening only, in lower case, after quotes and asterisks. In this order: a refusal
    (:data:`vila2.engine.marks.REFUSALS`) or an opening of :data:`UNSURE` ("not sure", "yes or no") is None; one of
    :data:`NO` ("no", "not", "false", "there is no", "it isn't") is no; one of :data:`YES` ("yes", "true", "there is")
    is yes; everything else is None. Nothing is guessed: an answer that does not say either way, such as a
    description, is neither.
    """
    text = text.lower().replace("’", "'").lstrip(" \t\n\"'“*#`([-:.,").strip()
    if is_refusal(text) or _UNSURE.match(text):
        return None
    if _NO.match(text):
        return "no"
    return "yes" if _YES.match(text) else None


def vqa_accuracy(answer: str, references: Sequence[str]) -> float:
    """VQA accuracy (Antol et al. 2015), in 0..1.

    The mean, over leaving out each of the people's answers in turn, of min(1, matches / 3) among the
    rest: with ten references an answer that three or more gave counts nearly or wholly as right.

    Args:
        answer: the model's.
        references: the people's, ten in VQAv2 and TextVQA. A single one is compared as it is.

    Raises:
        DataError: no references.
    """
    if not references:
        raise DataError("a question has no reference answers", hint="leave it out")
    matches = [normalise_answer(reference) == normalise_answer(answer) for reference in references]
    if len(matches) == 1:
        return float(matches[0])
    total = sum(matches)
    return sum(min(1.0, (total - match) / 3) for match in matches) / len(matches)
