"""How well a caption fits what people said of its image: words in common, and what they are about.

Two things are seen, and both learn all they know from the human captions at hand; no model, no list of synonyms.

*Words*: content words without their endings, each weighing the logarithm of how rare it is among the images. Precision is
the weight of a caption's words that anyone used; recall the weight of what people said, a word that all said counting
more than one that one said. Their geometric mean, so that neither silence nor chatter pays.

*Topic*: people who describe one image use different words for the same things ("kid", "child"). A latent semantic space
of the images' words puts such words side by side; the cosine there of a caption and all its references together.

The score is 0.7 of the one and 0.3 of the other. Against 5,664 captions that three experts each rated,
``tests/benchmarks/caption_scorer.py`` says how it compares with CIDEr-D and simpler scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vila2.errors import DataError
from vila2.evaluate.measures.looking import FUNCTION_WORDS
from vila2.evaluate.measures.text import tokens

#: Share of the topic in the score, and dimensions of the space.
TOPIC, DIMENSIONS = 0.3, 30
_ENDINGS = (
    ("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("ings", ""), ("ing", ""), ("edly", ""),
    ("ed", ""), ("s", ""),
)  # fmt: skip
_POWER_STEPS = 6


def stem(word: str) -> str:
    """A word without the endings of plurals and verbs: "dogs" as "dog", "running" and "runs" as "run".

    Light on purpose; a final e goes too, so that "riding" meets "ride".
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
        references: the human captions of each image of the corpus: a hundred images or more for topics that mean
            something. Scores with different corpora are not comparable, as with CIDEr.

    Raises:
        DataError: no images.
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
        """The fit of a caption, in 0..1.

        Args:
            text: the caption.
            references: one human caption of its image, or more.
        """
        if not references:
            raise DataError("a caption has no references", hint="leave it out")
        topic = float(self._vector(_bag(text)) @ self._vector(_together(references)))
        return (1 - TOPIC) * self.words(text, references) + TOPIC * max(0.0, topic)

    def words(self, text: str, references: Sequence[str]) -> float:
        """The geometric mean of weighted precision and recall of content words."""
        said = sorted(set(_bag(text)))
        people = Counter(word for own in references for word in set(_bag(own)))
        common = [word for word in said if word in people]
        spoken = sum(self._of(word) for word in said)
        told = sum(self._of(word) * count for word, count in sorted(people.items()))
        if not common or not spoken or not told:
            return 0.0
        precision = sum(self._of(word) for word in common) / spoken
        recall = sum(self._of(word) * people[word] for word in common) / told
        return float((precision * recall) ** 0.5)

    def _of(self, word: str) -> float:
        return self._weight.get(word, self._unseen)

    def _topics(self, bags: Sequence[Counter[str]]) -> np.ndarray:
        """The leading right singular vectors [words, dimensions] of the images' weighted words."""
        matrix = np.zeros((len(bags), len(self._place)), dtype=np.float32)
        for row, bag in enumerate(bags):
            for word, count in bag.items():
                matrix[row, self._place[word]] = np.log1p(count) * self._weight[word]
            matrix[row] /= np.linalg.norm(matrix[row]) or 1.0
        size = min(DIMENSIONS, *matrix.shape)
        # Subspace iteration: all that is needed of the decomposition, in seconds for thousands of images.
        start = np.random.default_rng(0).standard_normal((matrix.shape[1], size)).astype(np.float32)
        space = np.linalg.qr(start)[0]
        for _ in range(_POWER_STEPS):
            space = np.linalg.qr(matrix.T @ (matrix @ space))[0]
        return space

    def _vector(self, bag: Counter[str]) -> np.ndarray:
        """A text's direction among the topics, of length 1; zeros where it has no known word."""
        vector = np.zeros(self._space.shape[1], dtype=np.float64)
        for word, count in sorted(bag.items()):
            if word in self._place:
                vector += np.log1p(count) * self._weight[word] * self._space[self._place[word]]
        return vector / (np.linalg.norm(vector) or 1.0)


def _bag(text: str) -> Counter[str]:
    return Counter(stem(word) for word in tokens(text) if word not in FUNCTION_WORDS)


def _together(texts: Sequence[str]) -> Counter[str]:
    return sum((_bag(text) for text in texts), Counter())
