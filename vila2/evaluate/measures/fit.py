"""The fit of a caption with what people said of its image: words in common, and a topic in common.

Both parts learn only from the human captions at hand. There is no model and no list of synonyms.

*Words* compares content words without their endings. Each is weighted by the logarithm of its rarity among
the images. Precision is the weighted share of the caption's words that anyone used. Recall is the weighted
share of what people said that the caption says; a word that all used counts more than a word that one used.
The score is their geometric mean, so that neither silence nor chatter pays.

*Topic* finds different words for the same things ("kid", "child"). A latent semantic space of the images'
words puts such words side by side. The score is the cosine there between a caption and all its references
together.

The fit is 0.7 times the words plus 0.3 times the topic. ``tests/benchmarks/caption_scorer.py`` compares it
with CIDEr-D and simpler scores on 5,664 captions that three experts each rated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vila2.errors import DataError
from vila2.evaluate.measures.intervals import Floats
from vila2.evaluate.measures.looking import FUNCTION_WORDS
from vila2.evaluate.measures.text import tokens

#: Weight of the topic in the score, and number of dimensions of the semantic space.
TOPIC, DIMENSIONS = 0.3, 30
_ENDINGS = (
    ("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("ings", ""), ("ing", ""),
    ("edly", ""), ("ed", ""), ("s", ""),
)  # fmt: skip
_POWER_STEPS = 6


def stem(word: str) -> str:
    """Removes the endings of plurals and verbs: "dogs" becomes "dog", "running" and "runs" become "run".

    The rules are few on purpose. A final e goes too, so that "riding" and "ride" are the same.
    """
    word = word.removesuffix("'s")
    for ending, instead in _ENDINGS:
        keeps = ending == "s" and word.endswith(("ss", "us", "is"))
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not keeps:
            word = word[: len(word) - len(ending)] + instead
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


class FitScorer:
    """Scores captions against references, with word weights and topics from a corpus of references.

    Args:
        references: human captions of each image of the corpus. Topics need a hundred images or more to mean
            something. As with CIDEr, scores with different corpora are not comparable.

    Raises:
        DataError: there are no images.
    """

    def __init__(self, references: Sequence[Sequence[str]]) -> None:
        if not references:
            raise DataError("no references to learn word weights from", hint="give one set for each image")
        bags = [_together(own) for own in references]
        images = Counter(word for bag in bags for word in bag)
        self._unseen = float(np.log(len(bags) + 1))
        self._weight = {word: float(np.log((len(bags) + 1) / count)) for word, count in images.items()}
        self._place = {word: n for n, word in enumerate(sorted(images))}
        self._space = self._topics(bags)

    def score(self, text: str, references: Sequence[str]) -> float:
        """Computes the fit of a caption, in 0..1.

        Args:
            text: caption.
            references: human captions of its image, one or more.

        Raises:
            DataError: there are no references.
        """
        if not references:
            raise DataError("a caption has no references", hint="leave it out")
        topic = float(self._vector(_bag(text)) @ self._vector(_together(references)))
        return (1 - TOPIC) * self.words(text, references) + TOPIC * max(0.0, topic)

    def words(self, text: str, references: Sequence[str]) -> float:
        """Computes the geometric mean of weighted precision and recall of content words, in 0..1."""
        said = sorted(set(_bag(text)))
        people = Counter(word for own in references for word in set(_bag(own)))
        common = [word for word in said if word in people]
        spoken = sum(self._weight_of(word) for word in said)
        told = sum(self._weight_of(word) * count for word, count in sorted(people.items()))
        if not common or not spoken or not told:
            return 0.0
        precision = sum(self._weight_of(word) for word in common) / spoken
        recall = sum(self._weight_of(word) * people[word] for word in common) / told
        return float((precision * recall) ** 0.5)

    def _weight_of(self, word: str) -> float:
        return self._weight.get(word, self._unseen)

    def _topics(self, bags: Sequence[Counter[str]]) -> NDArray[np.float32]:
        """The leading right singular vectors, [words, dimensions], of the images' weighted words."""
        matrix = np.zeros((len(bags), len(self._place)), dtype=np.float32)
        for row, bag in enumerate(bags):
            for word, count in bag.items():
                matrix[row, self._place[word]] = np.log1p(count) * self._weight[word]
            matrix[row] /= np.linalg.norm(matrix[row]) or 1.0
        size = min(DIMENSIONS, *matrix.shape)
        # Subspace iteration finds the part of the decomposition that is used, in seconds for thousands of
        # images.
        start = np.random.default_rng(0).standard_normal((matrix.shape[1], size)).astype(np.float32)
        space = np.linalg.qr(start)[0]
        for _ in range(_POWER_STEPS):
            space = np.linalg.qr(matrix.T @ (matrix @ space))[0]
        return space

    def _vector(self, bag: Counter[str]) -> Floats:
        """The direction of a text among the topics, with length 1; zeros where it has no known word."""
        vector = np.zeros(self._space.shape[1], dtype=np.float64)
        for word, count in sorted(bag.items()):
            if word in self._place:
                vector += np.log1p(count) * self._weight[word] * self._space[self._place[word]]
        return vector / (np.linalg.norm(vector) or 1.0)


def _bag(text: str) -> Counter[str]:
    return Counter(stem(word) for word in tokens(text) if word not in FUNCTION_WORDS)


def _together(texts: Sequence[str]) -> Counter[str]:
    return sum((_bag(text) for text in texts), Counter())
