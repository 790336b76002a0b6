"""How well several descriptions of one image agree: what many of them say is more likely to be there.

The agreement of a text is its mean overlap with each of the others. An overlap is the Dice coefficient
2 |A and B| / (|A| + |B|) of two multisets: of the claims that :mod:`vila2.claims.reading` finds or, where
most texts make no claim that it can read, of their words. A thing that is named twice counts twice, so a text
that repeats itself agrees less.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vila2.claims.names import Vocabulary
from vila2.claims.reading import read_claims
from vila2.claims.sentences import sentence_spans

#: A claim, or a word, in a form that is equal for equal ones.
Said = tuple[str, ...]
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well texts agree.

    Attributes:
        by: what was compared.
        of_each: agreement of each text with the others, 0 to 1, in order.
    """

    by: Literal["claims", "words"]
    of_each: tuple[float, ...]


def stated(text: str) -> Counter[Said]:
    """The claims of a text, each with how often it is made."""
    return Counter(
        (claim.kind, claim.subject, claim.predicate, claim.object, claim.value)
        for start, end in sentence_spans(text)
        for claim in read_claims(text[start:end], Vocabulary())
    )


def agreement(texts: Sequence[str]) -> Agreement:
    """Compares each text with the others; a single text agrees with nothing, so its agreement is 0."""
    claims = [stated(text) for text in texts]
    if 2 * sum(map(bool, claims)) >= len(texts):
        return Agreement("claims", _mean_overlaps(claims))
    words: list[Counter[Said]] = [Counter((word,) for word in _WORD.findall(text.lower())) for text in texts]
    return Agreement("words", _mean_overlaps(words))


def _mean_overlaps(said: Sequence[Counter[Said]]) -> tuple[float, ...]:
    others = max(1, len(said) - 1)
    return tuple(
        sum(_overlap(one, other) for there, other in enumerate(said) if there != here) / others
        for here, one in enumerate(said)
    )


def _overlap(one: Counter[Said], other: Counter[Said]) -> float:
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 0.0
