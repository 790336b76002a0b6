"""How good a grounding specialist is: referring accuracy, grounded F1, and phrases of regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vila2.plugin import Asked, Box, BoxPart, Items, Part, Turn, iou

from vila2_grounding.mentions import mentions
from vila2_grounding.phrases import normal

#: A box is found from this overlap on.
FOUND = 0.5

Located = tuple[str, Box]  # phrase and box


@dataclass(slots=True)
class _Measure:
    """The items of a measure as they come in."""

    keys: list[str] = field(default_factory=list)
    numerators: list[float] = field(default_factory=list)
    denominators: list[float] = field(default_factory=list)

    def add(self, key: str, numerator: float, denominator: float = 1.0) -> None:
        self.keys.append(key)
        self.numerators.append(float(numerator))
        self.denominators.append(float(denominator))


def score(asked: Sequence[Asked]) -> dict[str, Items]:
    """Every measure that the questions allow; what a question is follows from its reference.

    ``REC acc@0.5``: a box was asked for, and the first one given overlaps it by half or more (IoU).
    ``REC IoU``: how far it does.
    ``grounded F1``, F1_all: a phrase with a box is right where the reference has the same phrase (without its
    determiner, in the singular) with a box that overlaps by half; over all phrases of all answers.
    ``localisation F1``, F1_loc: the same over phrases that answer and reference have in common.
    ``region phrase``: a box was given, and the answer is its phrase.
    """
    measures = {
        name: _Measure()
        for name in ("REC acc@0.5", "REC IoU", "grounded F1", "localisation F1", "region phrase")
    }
    for one in asked:
        key = one.said.key
        if _is_box(one.reference):
            overlap = _first_overlap(one)
            measures["REC acc@0.5"].add(key, overlap >= FOUND)
            measures["REC IoU"].add(key, overlap)
        elif truth := located(one.reference.parts):
            said = located(one.said.parts)
            measures["grounded F1"].add(key, *f1_all(said, truth))
            measures["localisation F1"].add(key, *f1_loc(said, truth))
        elif any(isinstance(part, BoxPart) for part in one.question.parts):
            measures["region phrase"].add(key, normal(one.said.text) == normal(one.reference.text))
    return {
        name: Items(measure.keys, measure.numerators, measure.denominators)
        for name, measure in measures.items()
        if measure.keys
    }


def located(parts: Sequence[Part]) -> list[Located]:
    """The phrases of an answer with their boxes."""
    return [(normal(one.phrase), one.box) for one in mentions(parts)]


def f1_all(said: Sequence[Located], truth: Sequence[Located]) -> tuple[float, float]:
    """Numerator and denominator: twice the pairs of phrase and box that are right, and all of both sides."""
    return 2.0 * _pairs(said, truth), float(len(said) + len(truth))


def f1_loc(said: Sequence[Located], truth: Sequence[Located]) -> tuple[float, float]:
    """As :func:`f1_all`, of the phrases that both have."""
    common = {phrase for phrase, _ in said} & {phrase for phrase, _ in truth}
    return f1_all([one for one in said if one[0] in common], [one for one in truth if one[0] in common])


def _pairs(said: Sequence[Located], truth: Sequence[Located]) -> int:
    """How many boxes have a partner of the same phrase; each box has one at most, the best overlap first."""
    overlaps = sorted(
        (
            (iou(box, other), n, m)
            for n, (phrase, box) in enumerate(said)
            for m, (name, other) in enumerate(truth)
            if phrase == name
        ),
        reverse=True,
    )
    taken: tuple[set[int], set[int]] = set(), set()
    for overlap, n, m in overlaps:
        if overlap >= FOUND and n not in taken[0] and m not in taken[1]:
            taken[0].add(n)
            taken[1].add(m)
    return len(taken[0])


def _is_box(turn: Turn) -> bool:
    """Whether a reference is one box and nothing else."""
    return not turn.text.strip(" .") and sum(isinstance(part, BoxPart) for part in turn.parts) == 1


def _first_overlap(one: Asked) -> float:
    truth = next(part.box for part in one.reference.parts if isinstance(part, BoxPart))
    return next((iou(part.box, truth) for part in one.said.parts if isinstance(part, BoxPart)), 0.0)
