"""The exchanges of a sample: each question with its answer and the kind of question."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from vila2.data.sample import ImagePart, Sample, Turn
from vila2.data.tar_sample import says_something


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question turn and its answer turn.

    Attributes:
        number: number of the exchange in its sample, from 0.
        kind: kind of question; "" where the sample does not say. ``meta["kinds"]`` lists a kind for each
            exchange, ``meta["kind"]`` is the kind of all.
        question: turn of the user, without images.
        answer: turn of the assistant.
    """

    number: int
    kind: str
    question: Turn
    answer: Turn


def exchanges_of(sample: Sample) -> Iterator[Exchange]:
    """Finds the exchanges of a sample in order, on one branch or on several."""
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
