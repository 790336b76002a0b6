"""Short answers: normalising, comparing, and the accuracy of VQA."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

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
_YES = re.compile(r"\W*(yes|yeah|yep|correct|true|right|sure|certainly|indeed)\b", re.IGNORECASE)
_NO = re.compile(r"\W*(no|nope|not|incorrect|false|wrong|none)\b", re.IGNORECASE)
_THERE = re.compile(
    r"\W*(?:there|it|he|she|they|this|that)\s+(?:is|are|was|were|does|do)(n'?t|\s+not|\s+no)?\b"
)


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
    """What an answer to a yes-or-no question says, or None where that cannot be told.

    Read from its opening only: "yes", "yeah", "correct", "true", ... or "no", "not", "false", ...;
    else "there is", "it is", ... for yes and "there is no", "there isn't", "it is not", ... for no.
    """
    text = text.lower().replace("’", "'")
    if _YES.match(text):
        return "yes"
    if _NO.match(text):
        return "no"
    if opening := _THERE.match(text):
        return "no" if opening.group(1) else "yes"
    return None


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
        raise DataError("a question has no reference answers", mend="leave it out")
    matches = [normalise_answer(reference) == normalise_answer(answer) for reference in references]
    if len(matches) == 1:
        return float(matches[0])
    total = sum(matches)
    return sum(min(1.0, (total - match) / 3) for match in matches) / len(matches)
