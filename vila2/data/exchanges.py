"""The exchanges of a sample: each question with its answer, and what kind of question it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from vila2.data.sample import ImagePart, Sample, Turn
from vila2.data.tar_sample import says_something


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question turn and its answer turn.

    Attributes:
        number: of the exchange in its sample, from 0.
        kind: of question, "" where the sample does not say: ``meta["kinds"]`` lists one for each exchange,
            ``meta["kind"]`` is that of all.
        question: without the image.
        answer: the assistant's.
    """

    number: int
    kind: str
    question: Turn
    answer: Turn


def exchanges_of(sample: Sample) -> Iterator[Exchange]:
    """The exchanges of a sample in order, each on its own branch or one after another."""
    kinds = sample.meta.get("kinds")
    kind = sample.meta.get("kind", "")
    number = 0
    asked: dict[int, Turn] = {}
    for turn in sample.turns:
        if turn.role == "user":
            parts = tuple(part for part in turn.parts if not isinstance(part, ImagePart))
            if says_something(replace(turn, parts=parts)):
                asked[turn.branch] = replace(turn, parts=parts)
        elif turn.role == "assistant" and turn.branch in asked:
            named = kinds[number] if isinstance(kinds, list | tuple) and number < len(kinds) else kind
            yield Exchange(number, str(named), asked.pop(turn.branch), turn)
            number += 1
