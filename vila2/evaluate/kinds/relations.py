"""The kind ``relations``: true and false statements about where two things are, as in VSR (arXiv 2205.00363).

The model judges every relation twice, as it is and reversed. So no fixed answer scores more than one half,
and the words alone tell nothing. The samples' evidence says what is true; relations near the border are not
asked about.
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
from vila2.evaluate.kinds.questions import image_name, needs_evidence_or_questions, yes_no_questions
from vila2.evaluate.measures.answers import yes_no
from vila2.evaluate.measures.items import Items
from vila2.evaluate.measures.placing import AXES, Axis, relation
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec
from vila2.sources.world import generator

#: Words of each axis for the place of the first thing, on the smaller and on the greater side of the second.
_WORDS = {
    "left/right": ("to the left of", "to the right of"),
    "front/behind": ("in front of", "behind"),
    "above/below": ("above", "below"),
}
#: Largest number of pairs of things for one image and axis.
PER_IMAGE = 2

PROMPT = "Based on the image, is this statement true or false? {question}"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement about two things of an image.

    Attributes:
        sample: sample with the image.
        pair: name of the pair; the true and the false statement about a relation have the same one.
        axis: one of :data:`AXES`, or the relation's name in the dataset that brings the statement.
        text: statement in words.
        true: whether the statement is true.
    """

    sample: Sample
    pair: str
    axis: str
    text: str
    true: bool

    @property
    def image(self) -> str:
        """Name of the image, which several samples can show."""
        return image_name(self.sample)


def statements(samples: Sequence[Sample], *, seed: int) -> list[Statement]:
    """Makes two statements for each of at most :data:`PER_IMAGE` pairs of things per axis and image.

    Only images whose things are all known are used, and only things whose name fits no other thing in the
    image.

    Args:
        samples: samples with evidence; those without are passed over.
        seed: seed of the choice of pairs.

    Raises:
        DataError: nothing can be stated about any image.
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
            "in no image are there two things whose relation the evidence shows",
            hint='give samples meta["evidence"] with `all_objects` and objects with boxes or solids',
        )
    return found


def given_statements(samples: Sequence[Sample]) -> list[Statement]:
    """Takes the statements that samples carry, such as VSR's: questions whose answer is true or false.

    Raises:
        DataError: an answer is neither true nor false.
    """
    asked = yes_no_questions(samples, hint="answer statements by true or false")
    return [Statement(q.sample, q.item, q.kind, q.question, true) for q, true in asked]


def _told_apart(evidence: Evidence) -> list[SceneObject]:
    """The things whose name fits no other thing in the image."""
    words = [set(one.called.split()) | {one.label} for one in evidence.objects]
    return [
        one
        for n, one in enumerate(evidence.objects)
        if not any(set(one.called.split()) <= own for m, own in enumerate(words) if m != n)
    ]


def _both_ways(sample: Sample, one: str, other: str, axis: Axis, side: int) -> list[Statement]:
    """The true and the false statement about two things."""
    words = _WORDS[axis] if side < 0 else _WORDS[axis][::-1]
    pair = f"{sample.key}#{axis}#{one}#{other}"
    return [
        Statement(sample, pair, axis, f"The {one} is {word} the {other}.", truth)
        for word, truth in zip(words, (True, False), strict=True)
    ]


def relations(
    engine: Engine, samples: Sequence[Sample], benchmark: BenchmarkSpec, progress: Progress
) -> BenchmarkOutcome:
    """Asks whether statements are true: made ones where samples have evidence, else those that they carry.

    In the benchmark's prompt, {question} stands for the statement.
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
            {
                "item": r.key,
                "kind": one.axis,
                "question": r.prompt,
                "answer": "true" if one.true else "false",
                "said": text,
                "read": yes_no(text),
            }
            for one, r, text in zip(made, requests, texts, strict=True)
        ],
    )


def score_statements(made: Sequence[Statement], texts: Sequence[str]) -> dict[str, Items]:
    """Computes the accuracy for each axis and for all, and the share of pairs that are right both ways.

    A model that does not look can be right on half of the statements. It is right on none of the pairs with a
    fixed answer, and on a quarter of them by tossing a coin.

    Args:
        made: statements that were asked about.
        texts: answers, one for each statement.
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
