"""SpatialRelationQA, first two steps (VILA² section 2.2.1): sample relations for each box, then match boxes.

A fact holds the content of a question and the grounds of its answer. Every question is stored with its fact,
and :func:`answer_of` derives the answer anew from the boxes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
from vila2.plugin import DataError

from vila2_spatial import relations
from vila2_spatial.cleaning import CleanScene, Thing
from vila2_spatial.relations import CAMERA_RELATIONS, OBJECT_RELATIONS, OPPOSITE, RELATIONS, Finding
from vila2_spatial.wording import GROUPS

#: Weights of the forms where a scene allows several. The paper's own example asks for the thing itself.
FORM_WEIGHTS = {"box": 3.0, "name": 3.0, "choice": 1.0, "yes-no": 1.0, "sentence": 1.0}
_SUPERLATIVE = ("closest", "camera_closest", "camera_farthest")


@dataclass(frozen=True, slots=True)
class Fact:
    """What a question rests on. Numbers are places in ``Evidence.objects``.

    Attributes:
        form: form of the answer: "box", "name", "choice", "yes-no" or "sentence".
        predicate: relation that the question names, one of ``RELATIONS``.
        answer: number of a thing ("box", "name", and comparisons of two), a relation, "yes" or "no".
        margin: amount by which the relation holds: share of the width, meters, or the ratio to the runner-up.
        subject: thing that the question is about; for "box" and "name" it is the answer.
        anchor: thing that the relation refers to; None for the camera.
        other: thing that the subject is compared with.
        label: category in which the answer is unique; None for all things, or where the question names the
            subject.
        runner_up: thing that comes next to the extreme.
    """

    form: str
    predicate: str
    answer: int | str
    margin: float
    subject: int
    anchor: int | None = None
    other: int | None = None
    label: str | None = None
    runner_up: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The fact as JSON values, without those that are None."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fact:
        """Reads what :meth:`to_json` wrote and ignores other keys."""
        return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})

    @property
    def question(self) -> tuple[object, ...]:
        """The identity of the question. A choice between left and right names no predicate."""
        pair = tuple(sorted((self.predicate, OPPOSITE.get(self.predicate, ""))))
        named = self.predicate if self.form in ("box", "name", "yes-no") else pair
        subject = self.subject if self.form not in ("box", "name") else None
        return self.form, named, subject, self.anchor, self.other, self.label


def draw_facts(
    scene: CleanScene,
    rng: np.random.Generator,
    draws: int,
    weights: Mapping[str, float],
    forms: Mapping[str, float],
    sayable: Collection[tuple[str, str]],
    boxes: bool,
) -> Iterator[Fact]:
    """Facts of a scene in random order, with each question once.

    Args:
        scene: a cleaned scene.
        rng: source of every random decision.
        draws: number of relations that are sampled for each box.
        weights: weights of the relations; a relation not named has 1.
        forms: weights of the forms; a form not named has that of ``FORM_WEIGHTS``, and 0 means never.
        sayable: pairs of group and form that have words.
        boxes: whether a box may tell a thing whose name does not.
    """
    weight = np.array([weights.get(name, 1.0) for name in RELATIONS])
    odds = FORM_WEIGHTS | dict(forms)
    seen: set[tuple[object, ...]] = set()
    found: list[Fact] = []
    for anchor in scene.things:  # step 1: a few relations for each box
        order = rng.choice(
            len(RELATIONS), size=min(draws, int((weight > 0).sum())), replace=False, p=weight / weight.sum()
        )
        for number in order:
            matches = _matches(scene, anchor, RELATIONS[number], rng, boxes)
            fresh = [
                fact
                for fact in matches
                if (GROUPS[fact.predicate], fact.form) in sayable
                and odds[fact.form] > 0
                and fact.question not in seen
            ]
            if fresh:  # step 2: a remaining box matches
                share = np.array([odds[fact.form] for fact in fresh])
                fact = fresh[int(rng.choice(len(fresh), p=share / share.sum()))]
                seen.add(fact.question)
                found.append(fact)
    yield from (found[n] for n in rng.permutation(len(found)))


def _matches(
    scene: CleanScene, anchor: Thing, relation: str, rng: np.random.Generator, boxes: bool
) -> Iterator[Fact]:
    """One fact of each form that the scene allows for a relation and a box."""

    def sayable(*things: Thing) -> bool:
        return boxes or all(scene.named_alone(thing) for thing in things)

    rest = [scene.things[n] for n in rng.permutation(len(scene.things)) if scene.things[n] is not anchor]
    to_camera = relation in CAMERA_RELATIONS
    target = None if to_camera else anchor
    if target is None or sayable(target):
        labels = [anchor.label] if to_camera else list(dict.fromkeys(one.label for one in rest))
        yield from _unique(scene, relation, target, labels, boxes)
    if relation in _SUPERLATIVE:
        yield from _compared(scene, relation, anchor, rest, rng, sayable)
    elif to_camera:
        if sayable(anchor) and relations.between(anchor, None, relation, scene.domain):
            yield from _single(anchor, None, relation, scene, rng)
    else:
        for one in rest:
            if sayable(one, anchor) and relations.between(one, anchor, relation, scene.domain):
                yield from _single(one, anchor, relation, scene, rng)
                break


def _unique(
    scene: CleanScene, relation: str, target: Thing | None, labels: list[str], boxes: bool
) -> Iterator[Fact]:
    """ "box" for the first category with a single match; "name" where one thing of all matches."""
    by_box = (
        _fact("box", relation, found[0].number, found[1], found[0], target, label=label)
        for label in (labels if boxes else ())
        if (found := relations.only_one(scene, label, relation, target))
    )
    yield from islice(by_box, 1)
    found = relations.only_one(scene, None, relation, target)
    if found and scene.named_alone(found[0]):
        yield _fact("name", relation, found[0].number, found[1], found[0], target)


def _single(
    one: Thing, anchor: Thing | None, relation: str, scene: CleanScene, rng: np.random.Generator
) -> Iterator[Fact]:
    """A relation of one thing, or of two, asked as a choice, as yes or no, or for a sentence."""
    found = relations.finding(one, anchor, relation, scene.domain)
    yield _fact("choice", relation, relation, found, one, anchor)
    yield _fact("sentence", relation, relation, found, one, anchor)
    true = bool(rng.random() < 0.5)
    yield _fact(
        "yes-no", relation if true else OPPOSITE[relation], "yes" if true else "no", found, one, anchor
    )


def _compared(
    scene: CleanScene, relation: str, anchor: Thing, rest: list[Thing], rng: np.random.Generator, sayable: Any
) -> Iterator[Fact]:
    """Which of two is nearer to the anchor, or which of the anchor and another is nearer to the camera."""
    target = anchor if relation in OBJECT_RELATIONS else None
    pairs = [(anchor, other) for other in rest] if target is None else list(pairwise(rest))
    for one, other in pairs:
        found = relations.nearer(one, other, target)
        if found is None or not sayable(one, other, *([target] if target else [])):
            continue
        wins = found.relation == relation
        if rng.random() < 0.5:  # the order of the names must not tell the answer
            one, other, wins = other, one, not wins
        winner = one if wins else other
        for form in ("choice", "sentence"):
            yield _fact(form, relation, winner.number, found, one, target, other=other)
        yield _fact("yes-no", relation, "yes" if wins else "no", found, one, target, other=other)
        return


def _fact(form: str, relation: str, answer: int | str, found: Finding, one: Thing, anchor: Thing | None, *,
          other: Thing | None = None, label: str | None = None) -> Fact:  # fmt: skip
    return Fact(
        form,
        relation,
        answer,
        round(found.margin, 4),
        one.number,
        anchor.number if anchor else None,
        other.number if other else None,
        label,
        None if other else found.runner_up,
    )


def answer_of(fact: Fact, scene: CleanScene) -> int | str | None:
    """The answer to a fact's question, derived from the boxes alone; None where they do not decide it.

    Args:
        fact: the fact; its ``answer`` is ignored.
        scene: result of :func:`vila2_spatial.cleaning.clean` for the sample's evidence and domain.

    Raises:
        DataError: the fact names things that the scene does not have.
    """
    anchor, other = _thing(scene, fact.anchor), _thing(scene, fact.other)
    one = _thing(scene, fact.subject)
    if one is None:
        return None
    if fact.form in ("box", "name"):
        group = [
            thing for thing in scene.present if thing is not anchor and fact.label in (None, thing.label)
        ]
        if fact.predicate in _SUPERLATIVE:
            furthest = relations.extreme(group, anchor, fact.predicate)
            return furthest[0].number if furthest else None
        holding = [thing for thing in group if relations.between(thing, anchor, fact.predicate, scene.domain)]
        return holding[0].number if len(holding) == 1 else None
    if other is not None:
        found = relations.nearer(one, other, anchor)
        if found is None:
            return None
        wins = found.relation == fact.predicate
        return ("yes" if wins else "no") if fact.form == "yes-no" else (one if wins else other).number
    holds = relations.between(one, anchor, fact.predicate, scene.domain)
    if holds is None:
        return None
    if fact.form == "yes-no":
        return "yes" if holds else "no"
    return fact.predicate if holds else OPPOSITE[fact.predicate]


def _thing(scene: CleanScene, number: int | None) -> Thing | None:
    if number is None:
        return None
    found = next((thing for thing in scene.present if thing.number == number), None)
    if found is None:
        raise DataError(f"object {number} cannot be seen in the scene", hint="build the data again")
    return found
