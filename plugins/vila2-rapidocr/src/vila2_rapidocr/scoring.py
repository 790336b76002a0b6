"""How much of the text that is known of images was read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vila2.plugin import Evidence

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole."""

    part: int = 0
    whole: int = 0

    def __add__(self, other: Share) -> Share:
        return Share(self.part + other.part, self.whole + other.whole)

    def __str__(self) -> str:
        return f"{100 * self.part / self.whole:.1f}% ({self.part} of {self.whole})" if self.whole else "-"


def shares(evidence: Evidence, read: Sequence[str]) -> dict[str, Share]:
    """What was read of one image, by measure. Letter case and marks such as ":" do not count.

    Args:
        evidence: known texts, and fields of a document.
        read: lines in reading order.
    """
    texts = _whole_texts(evidence)
    known, said = words_of(texts), words_of(read)
    right = (Counter(known) & Counter(said)).total()
    together = "".join(said)
    return {
        "words found": Share(right, len(known)),
        "words right": Share(right, len(said)),
        "lines found": _found(texts, together),
        "fields found": _found(evidence.fields.values(), together),
    }


def _whole_texts(evidence: Evidence) -> list[str]:
    """The known texts; single words only where nothing larger is known, which they would be a part of."""
    larger = [text.text for text in evidence.texts if text.kind != "word"]
    return larger or [text.text for text in evidence.texts]


def words_of(texts: Iterable[str]) -> list[str]:
    """The words and numbers of texts, in lower case."""
    return [word for text in texts for word in _WORD.findall(text.lower())]


def _found(texts: Iterable[str], read: str) -> Share:
    """How many texts stand in what was read, whatever the spaces between their words."""
    wanted = ["".join(words_of([text])) for text in texts]
    wanted = [text for text in wanted if text]
    return Share(sum(text in read for text in wanted), len(wanted))
