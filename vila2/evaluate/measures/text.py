"""Measures of caption text: tokens, n-grams, and agreement with human captions (CIDEr-D)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from vila2.errors import DataError

_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_LONGEST = 4  # words in the longest n-gram
_SIGMA = 6.0  # standard deviation in CIDEr-D's length penalty, in words

#: An n-gram: n words in a row.
Gram = tuple[str, ...]


def tokens(text: str) -> list[str]:
    """Splits a text into lowercase words without punctuation."""
    return _TOKEN.findall(text.lower().replace("’", "'"))


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Computes the share of distinct n-grams among all n-grams of the texts, in 0..1; 0 where there are none.

    It falls as a corpus grows: compare corpora of one size.
    """
    grams: Counter[Gram] = Counter()
    for text in texts:
        grams.update(grams_of(tokens(text), n))
    total = grams.total()
    return len(grams) / total if total else 0.0


def cider(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Computes CIDEr-D of each candidate (Vedantam et al. 2015), in 0..10.

    The scorer equals that of pycocoevalcap, but words are found by a regular expression instead of the Penn
    Treebank tokenizer, which needs Java; there is no stemming. So scores are comparable with each other, but
    not with published ones to the last digit. Document frequencies come from the references given here:
    scores over different sets are not comparable, and with a single item every score is 0.

    Args:
        candidates: one text per item.
        references: human texts of each item.

    Returns:
        One score per item; the score of the corpus is their mean.

    Raises:
        DataError: the lengths differ, or an item has no reference.
    """
    if len(candidates) != len(references):
        raise DataError(
            f"{len(candidates)} candidates but {len(references)} sets of references",
            hint="give one set for each",
        )
    if missing := [number for number, own in enumerate(references) if not own]:
        raise DataError(f"item {missing[0]} has no references", hint="leave items without references out")
    reference_grams = [[_all_grams(tokens(text)) for text in own] for own in references]
    frequency = Counter(gram for own in reference_grams for gram in set().union(*own))
    log_items = np.log(max(len(references), 1))
    weight = {gram: log_items - np.log(count) for gram, count in frequency.items()}
    scores = []
    for text, own in zip(candidates, reference_grams, strict=True):
        candidate = _Vector(_all_grams(tokens(text)), weight, log_items)
        others = [_Vector(grams, weight, log_items) for grams in own]
        scores.append(10.0 * sum(candidate.similarity(other) for other in others) / len(others))
    return scores


class _Vector:
    """The TF-IDF weights of the n-grams of a text, n = 1..4, with their norm for each n."""

    def __init__(self, grams: Counter[Gram], weight: Mapping[Gram, float], unseen: float) -> None:
        self.values = {gram: count * float(weight.get(gram, unseen)) for gram, count in grams.items()}
        squares = [0.0] * _LONGEST
        for gram, value in self.values.items():
            squares[len(gram) - 1] += value * value
        self.norms = [square**0.5 for square in squares]
        # pycocoevalcap takes the number of bigrams for the length of a text.
        self.length = sum(count for gram, count in grams.items() if len(gram) == 2)

    def similarity(self, reference: _Vector) -> float:
        """Computes the mean over n of the clipped cosine, times the penalty on different lengths."""
        dots = [0.0] * _LONGEST
        for gram, value in self.values.items():
            other = reference.values.get(gram)
            if other is not None:
                dots[len(gram) - 1] += min(value, other) * other
        total = 0.0
        for dot, own, other in zip(dots, self.norms, reference.norms, strict=True):
            total += dot / (own * other) if own and other else 0.0
        difference = self.length - reference.length
        return total / _LONGEST * float(np.exp(-(difference**2) / (2 * _SIGMA**2)))


def grams_of(words: Sequence[str], n: int) -> list[Gram]:
    """Lists the n-grams of a text's words, in order."""
    return list(zip(*(words[start:] for start in range(n)), strict=False))


def _all_grams(words: Sequence[str]) -> Counter[Gram]:
    grams: Counter[Gram] = Counter()
    for n in range(1, _LONGEST + 1):
        grams.update(grams_of(words, n))
    return grams
