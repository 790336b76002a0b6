"""Does a caption look at its image? Its words are compared with human captions of this and other images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vila2.errors import DataError
from vila2.evaluate.measures.text import tokens

#: Words that by themselves say nothing about an image.
FUNCTION_WORDS = frozenset(
    [
        "a", "an", "the", "this", "that", "these", "those", "it", "its", "he", "she", "they", "them", "his",
        "her", "hers", "their", "theirs", "him", "who", "which", "what", "there", "here", "i", "you", "we",
        "us", "our", "your", "my", "one", "ones", "other", "others", "another", "some", "any", "each",
        "all", "both", "more", "most", "many", "much", "very", "so", "such", "too", "and", "or", "but",
        "as", "if", "while", "with", "without", "of", "in", "on", "at", "by", "for", "from", "to", "into",
        "onto", "up", "down", "out", "off", "over", "under", "through", "across", "along", "around", "near",
        "next", "behind", "above", "below", "between", "against", "towards", "toward", "beside", "during",
        "after", "before", "about", "is", "are", "was", "were", "be", "been", "being", "am", "do", "does",
        "did", "has", "have", "had", "having", "can", "could", "will", "would", "may", "might", "not", "no",
        "nor", "image", "photo", "photograph", "picture", "scene", "shown", "shows", "showing", "show",
        "see", "seen", "appears", "appear", "seems", "seem", "visible",
    ]
)  # fmt: skip


def content_words(text: str) -> frozenset[str]:
    """Collects the different words of a text that are not function words, in lowercase."""
    return frozenset(tokens(text)) - FUNCTION_WORDS


def confirmed_words(text: str, references: Sequence[str]) -> tuple[int, int]:
    """Counts the different content words of a caption that people use for its image too.

    The share is a lower bound on what is right: people do not name everything, and a synonym counts as
    unconfirmed.

    Args:
        text: caption.
        references: human captions of the same image, taken together.

    Returns:
        The number of confirmed words, and the number of all content words of the caption.
    """
    said = content_words(text)
    return len(said & frozenset().union(*map(content_words, references))), len(said)


def told_apart(texts: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Scores how well each caption points to its own image among all, in 0..1.

    A caption's score is the share of the other images whose human captions it fits less well than those of
    its own image; ties count half. Its fit to an image is the sum over the content words that both have, each
    weighted by the logarithm of its rarity among the images. One sentence for every image scores exactly 0.5
    on average, however well that sentence fits the images at large: the measure is of looking, not of
    fluency.

    Args:
        texts: captions, one per image.
        references: human captions of each image, in the same order.

    Returns:
        One score per image; the measure is their mean.

    Raises:
        DataError: the lengths differ, or there are fewer than two images.
    """
    if len(texts) != len(references) or len(texts) < 2:
        raise DataError(
            f"{len(texts)} captions and {len(references)} sets of references",
            hint="give one set for each caption, of two images or more",
        )
    known = [frozenset().union(*map(content_words, own)) for own in references]
    frequency = Counter(word for own in known for word in own)
    weight = {word: float(np.log(len(known) / count)) for word, count in frequency.items()}
    scores = []
    for place, text in enumerate(texts):
        said = content_words(text) & weight.keys()
        fits = np.array([sum(sorted(weight[word] for word in said & own)) for own in known])
        others = np.delete(fits, place)
        scores.append(float((others < fits[place]).mean() + (others == fits[place]).mean() / 2))
    return scores
