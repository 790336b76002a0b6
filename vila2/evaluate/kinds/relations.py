"""The kind ``relations``: true and false statements about where two things are, in the manner of VSR (arXiv 2205.00363).

Every relation is put to the model twice, as it is and reversed, so that no fixed answer scores more than one half and
the words alone tell nothing. What is true comes from the samples' evidence, with a margin on every side of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from vila2.data.evidence import Evidence, SceneObject
from vila2.data.sample import Sample
from vila2.engine.protocol import Engine, Request
from vila2.errors import DataError
from vila2.evaluate.asking import BenchmarkOutcome, ask_all
from vila2.evaluate.kinds.kind import BenchmarkKind
from vila2.evaluate.kinds.questions import needs_evidence_or_questions, questions_of
from vila2.evaluate.measures.answers import yes_no
from vila2.evaluate.measures.items import Items
from vila2.evaluate.measures.placing import AXES, Axis, relation
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec
from vila2.sources.world import generator

#: Each axis' words: what the first thing is of the second one, on the axis' smaller and greater side.
_WORDS = {
    "left/right": ("to the left of", "to the right of"),
    "front/behind": ("in front of", "behind"),
    "above/below": ("above", "below"),
}
#: Pairs of things of one image and axis.
PER_IMAGE = 2

PROMPT = "Based on the image, is this statement true or false? {question}"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement about two things of an image; the true and the false one of a pair share ``pair``.

    Attributes:
        axis: one of :data:`AXES`, or what the dataset that brings the statement calls its relation.
    """

    sample: Sample
    pair: str
    axis: str
    text: str
    true: bool

    @property
    def image(self) -> str:
        """Names the image, which several samples can show."""
        return str(self.sample.meta.get("image", self.sample.key))


def statements(samples: Sequence[Sample], *, seed: int) -> list[Statement]:
    """Two statements for each of at most two pairs of things of each axis and image.

    Things count that their name tells from all others, in images whose things are all known.

    Raises:
        DataError: nothing can be stated of any image.
    """
    found: list[Statement] = []
    for sample in samples:
        evidence = Evidence.of(sample)
        if evidence is None or not evidence.all_objects:
            continue
        random = generator("relations", seed, sample.key)
        things = _told_apart(evidence)
        for axis in AXES:
            pairs = [(a, b, side) for a, b in combinations(things, 2) if (side := relation(a, b, axis))]
            for n in random.permutation(len(pairs))[:PER_IMAGE]:
                one, other, side = pairs[n]
                if random.random() < 0.5:
                    one, other, side = other, one, -side
                found += _both_ways(sample, one.called, other.called, axis, side)
    if not found:
        raise DataError(
            "no two things of any image stand in a relation that evidence tells",
            hint='give samples meta["evidence"] with `all_objects` and objects with boxes or solids',
        )
    return found


def given_statements(samples: Sequence[Sample]) -> list[Statement]:
    """The statements that samples carry, such as VSR's: a question that is the statement, answered by true or false.

    Raises:
        DataError: an answer that is neither.
    """
    asked = [question for sample in samples for question in questions_of(sample)]
    for one in asked:
        if yes_no(one.answer) is None:
            raise DataError(
                f"{one.item}: the answer is {one.answer!r}", hint="answer statements by true or false"
            )
    return [Statement(q.sample, q.item, q.kind, q.question, yes_no(q.answer) == "yes") for q in asked]


def _told_apart(evidence: Evidence) -> list[SceneObject]:
    """Things whose name nothing else in the image can be meant by."""
    words = [set(one.called.split()) | {one.label} for one in evidence.objects]
    return [
        one
        for n, one in enumerate(evidence.objects)
        if not any(set(one.called.split()) <= own for m, own in enumerate(words) if m != n)
    ]


def _both_ways(sample: Sample, one: str, other: str, axis: Axis, side: int) -> list[Statement]:
    words = _WORDS[axis] if side < 0 else _WORDS[axis][::-1]
    pair = f"{sample.key}#{axis}#{one}#{other}"
    return [
        Statement(sample, pair, axis, f"The {one} is {word} the {other}.", truth)
        for word, truth in zip(words, (True, False), strict=True)
    ]


def relations(
    engine: Engine, samples: Sequence[Sample], benchmark: BenchmarkSpec, progress: Progress
) -> BenchmarkOutcome:
    """Asks and scores: made statements where samples carry evidence, else those that they bring.

    In the benchmark's prompt {question} is the statement.
    """
    if any("evidence" in sample.meta for sample in samples):
        made = statements(samples, seed=benchmark.seed)
    else:
        made = given_statements(samples)
    form = benchmark.prompt or PROMPT
    requests = [
        Request(f"{one.pair}#{one.true}", one.sample.images, form.replace("{question}", one.text))
        for one in made
    ]
    texts = [answer.text for answer in ask_all(engine, requests, benchmark, progress)]
    return BenchmarkOutcome(
        score_statements(made, texts),
        [
            {"item": r.key, "kind": one.axis, "question": r.prompt}
            | {"answer": "true" if one.true else "false", "said": text, "read": yes_no(text)}
            for one, r, text in zip(made, requests, texts, strict=True)
        ],
    )


def score_statements(made: Sequence[Statement], texts: Sequence[str]) -> dict[str, Items]:
    """Accuracy of each axis and of all, and how many pairs are right both ways.

    A model that does not look can have half of the statements right, but none of the pairs unless it tosses a coin:
    then a quarter.
    """
    said = [yes_no(text) for text in texts]
    right = [answer == ("yes" if one.true else "no") for one, answer in zip(made, said, strict=True)]
    rows = list(zip(made, said, right, strict=True))
    measures = {
        axis: _accuracy([(one, ok) for one, ok in zip(made, right, strict=True) if one.axis == axis])
        for axis in dict.fromkeys(one.axis for one in made)
    }
    measures["all statements"] = _accuracy(list(zip(made, right, strict=True)))
    both: dict[str, list[bool]] = {}
    for one, _, ok in rows:
        both.setdefault(one.pair, []).append(ok)
    image_of = {one.pair: one.image for one in made}
    if all(len(pair) == 2 for pair in both.values()):
        pairs = [(image_of[name], all(pair), 1) for name, pair in both.items()]
        measures["right both ways"] = Items.of_ratios(pairs, baseline=0.25)
    return measures | {
        "said true": Items.of_ratios([(one.image, answer == "yes", 1) for one, answer, _ in rows], None),
        "readable answers": Items.of_ratios([(one.image, answer is not None, 1) for one, answer, _ in rows]),
    }


def _accuracy(rows: Sequence[tuple[Statement, bool]]) -> Items:
    true = sum(one.true for one, _ in rows) / len(rows)
    return Items.of_ratios([(one.image, ok, 1) for one, ok in rows], baseline=max(true, 1 - true))


KIND = BenchmarkKind(relations, needs_evidence_or_questions, frozenset({"said true"}))
