"""Length and variety of captions, each measure as item scores of the captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vila2.evaluate.measures.intervals import Floats
from vila2.evaluate.measures.items import Items
from vila2.evaluate.measures.text import distinct_n, grams_of, tokens

_SHARED = 3  # words in the n-grams that are counted as shared between captions


def variety(keys: Sequence[str], texts: Sequence[str]) -> dict[str, Items]:
    """Measures words per caption and their deviation, distinct n-grams, shared trigrams and the vocabulary.

    Measures across captions fall or grow with the number of captions: compare sets of one size. The score of
    a caption is what it adds to the whole, so these measures have intervals too.

    Args:
        keys: key of each caption's image.
        texts: captions, one for each key.
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


def _deviation_scores(values: Floats) -> list[float]:
    """Scores whose mean is the population deviation, with the spread of that deviation (delta method)."""
    deviation = float(values.std()) if len(values) else 0.0
    if not deviation:
        return [0.0] * len(values)
    squares = (values - values.mean()) ** 2
    return list(deviation + (squares - deviation**2) / (2 * deviation))


def _distinct_across(keys: Sequence[str], texts: Sequence[str], n: int) -> Items:
    """Different n-grams out of all: one that occurs k times counts 1/k each time."""
    grams = [grams_of(tokens(text), n) for text in texts]
    counts = Counter(gram for own in grams for gram in own)
    return Items(
        list(keys),
        [sum(1 / counts[gram] for gram in own) for own in grams],
        [float(len(own)) for own in grams],
    )


def _vocabulary(keys: Sequence[str], texts: Sequence[str]) -> Items:
    """Different words of all captions: one that occurs in k of them counts 1/k in each."""
    own_words = [set(tokens(text)) for text in texts]
    captions = Counter(word for own in own_words for word in own)
    scores = [sum(1 / captions[word] for word in sorted(own)) for own in own_words]
    return Items(list(keys), scores, [1 / len(texts)] * len(texts), "words")


def _shared(keys: Sequence[str], texts: Sequence[str]) -> Items:
    """Trigrams that another caption has too, out of all: 1 where every image gets the same sentence."""
    grams = [grams_of(tokens(text), _SHARED) for text in texts]
    captions = Counter(gram for own in grams for gram in set(own))
    return Items(
        list(keys),
        [float(sum(captions[gram] > 1 for gram in own)) for own in grams],
        [float(len(own)) for own in grams],
        higher_is_better=False,
    )
