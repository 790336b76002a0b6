"""The accuracy of VQA: an answer against those of ten people, normalized as the benchmark's server does.

:func:`vila2.evaluate.measures.answers.normalize_answer` is vila2's own, for questions with one right answer.
This one keeps the quirks of the published evaluation, so that figures can be compared: a full stop before a
digit stays (".5"), colons and asterisks stay, a sign beside a space goes without a trace where it otherwise
becomes a space, and so does every sign of an answer with a comma between digits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBERS = dict(
    zip(
        ("none", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
        ("0", *map(str, range(11))),
        strict=True,
    )
)
_ARTICLES = frozenset({"a", "an", "the"})
#: Words with apostrophes that the benchmark knows; written without one of them, they count as the same.
_APOSTROPHES = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't
he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've
mustn't needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've
somebody'd've somebody'll somebody's someone'd someone'd've someone'll someone's something'd
something'd've something'll that's there'd there'd've there're there's they'd they'd've they'll they're
they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's where'd where's where've
who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't wouldn't've y'all
y'all'd've y'all'll you'd you'd've you'll you're you've
"""
_CONTRACTIONS = {
    word[:place] + word[place + 1 :]: word
    for word in _APOSTROPHES.split()
    for place, letter in enumerate(word)
    if letter == "'"
} | {"somebody'd": "somebodyd"}
_SIGNS = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_IN_NUMBER = re.compile(r"(?<=\d),+(?=\d)")
_STOP = re.compile(r"\.(?!\d)")
_STOPS = 32  # the published code removes no more, since it passes a flag where the count belongs
_AGREEING = 3  # people with whom an answer agrees, from which on it is right


def vqa_accuracy(answer: str, people: Sequence[str], *, raw: bool = False) -> float:
    """Computes an answer's accuracy, 0..1: the mean over people of min(1, agreeing others / 3).

    Args:
        answer: a model's answer.
        people: people's answers.
        raw: whether to normalize as VQAv2 does, which leaves commas, question marks and "'s" to the signs;
            else as TextVQA and VizWiz do.
    """
    if not people:
        return 0.0
    normal = normalize_raw if raw else normalize_vqa
    said, known = normal(answer), [normal(one) for one in people]
    shares = [min(1.0, (known.count(said) - (one == said)) / _AGREEING) for one in known]
    return sum(shares) / len(shares)


def normalize_vqa(text: str) -> str:
    """Normalizes an answer as the evaluation of TextVQA and VizWiz does."""
    lowered = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    return normalize_raw(lowered)


def normalize_raw(text: str) -> str:
    """Normalizes an answer as VQAv2's evaluation does: signs, numbers, articles, contractions."""
    text = text.replace("\n", " ").replace("\t", " ").strip()
    within = text
    gone = _COMMA_IN_NUMBER.search(within) is not None
    for sign in _SIGNS:
        beside = f"{sign} " in within or f" {sign}" in within
        text = text.replace(sign, "" if gone or beside else " ")
    words = [_NUMBERS.get(word, word) for word in _STOP.sub("", text, count=_STOPS).lower().split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)
