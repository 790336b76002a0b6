"""How long and how varied captions are, each measure as item scores of the captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vila2.evaluate.measures.items import Items
from vila2.evaluate.measures.text import distinct_n, tokens

_SHARED = 3  # words of the n-grams that captions share


def variety(keys: Sequence[str], texts: Sequence[str]) -> dict[str, Items]:
    """Words per caption and their deviation, distinct n-grams within and across captions, vocabulary, shared trigrams.

    What is measured across captions falls or grows with their number: compare sets of one size. Its interval takes
    what each caption adds to the whole as that caption's score.
    """
    words = np.array([len(text.split()) for text in texts], dtype=np.float64)
    measures = {
        "words": Items.of_means(keys, list(words), "words", None),
        "words, standard deviation": Items.of_means(keys, _deviation_scores(words), "words", None),
        "distinct-2 within captions": Items.of_means(keys, [distinct_n([text], 2) for text in texts]),
        "distinct-1 across captions": _distinct_across(keys, texts, 1),
        "distinct-2 across captions": _distinct_across(keys, texts, 2),
    }
    if len(texts) > 1:
        measures["trigrams also said of other images"] = _shared(keys, texts)
    return measures | {"vocabulary": _vocabulary(keys, texts)}


def _deviation_scores(values: np.ndarray) -> list[float]:
    """Scores whose mean is the population deviation, and whose spread is the deviation's own (the delta method)."""
    deviation = float(values.std()) if len(values) else 0.0
    if not deviation:
        return [0.0] * len(values)
    squares = (values - values.mean()) ** 2
    return list(deviation + (squares - deviation**2) / (2 * deviation))


def _grams(text: str, n: int) -> list[tuple[str, ...]]:
    words = tokens(text)
    return list(zip(*(words[start:] for start in range(n)), strict=False))


def _distinct_across(keys: Sequence[str], texts: Sequence[str], n: int) -> Items:
    """Different n-grams out of all: one that is said k times counts 1/k each time."""
    grams = [_grams(text, n) for text in texts]
    counts = Counter(gram for own in grams for gram in own)
    return Items(
        list(keys),
        [sum(1 / counts[gram] for gram in own) for own in grams],
        [float(len(own)) for own in grams],
    )


def _vocabulary(keys: Sequence[str], texts: Sequence[str]) -> Items:
    """Different words of all captions: one that stands in k of them counts 1/k in each."""
    own_words = [set(tokens(text)) for text in texts]
    captions = Counter(word for own in own_words for word in own)
    scores = [sum(1 / captions[word] for word in sorted(own)) for own in own_words]
    return Items(list(keys), scores, [1 / len(texts)] * len(texts), "words")


def _shared(keys: Sequence[str], texts: Sequence[str]) -> Items:
    """Trigrams that another caption has too, out of all: 1 where every image gets the same sentence."""
    grams = [_grams(text, _SHARED) for text in texts]
    captions = Counter(gram for own in grams for gram in set(own))
    return Items(
        list(keys),
        [float(sum(captions[gram] > 1 for gram in own)) for own in grams],
        [float(len(own)) for own in grams],
        higher_is_better=False,
    )
