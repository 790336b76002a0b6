"""How well a model answers spatial questions: right answers in all, by relation and by form."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vila2.plugin import Asked, BoxPart, Evidence, Items, iou

from vila2_spatial.cleaning import thing_of
from vila2_spatial.facts import Fact
from vila2_spatial.relations import RELATIONS
from vila2_spatial.wording import FORMS

#: A box is right where its IoU with the true one is at least this (REC accuracy).
RIGHT_IOU = 0.5

#: Words of a relation in a short answer or in a sentence.
_WORDS = {
    "left": "left",
    "right": "right",
    "front": "front",
    "behind": "behind",
    "camera_left": "left",
    "camera_right": "right",
    "camera_close": "close|near",
    "camera_far": "far|distant",
}
_OPPOSED = dict([("left", "right"), ("front", "behind"), ("close|near", "far|distant")])
_OPPOSED |= {opposite: word for word, opposite in _OPPOSED.items()}


def score(asked: Sequence[Asked]) -> dict[str, Items]:
    """Measures of answers to the questions of the builder.

    "answers right" is the share of all questions with a right answer. The measures by relation cover only the
    questions that any thing in the image may answer by its name ("named"), because nothing helps to guess
    them. The other measures go by the form of the answer.

    A box is right from an IoU of one half on. A name, and yes or no, is right where the answer says it first.
    A word for a relation is right where the answer says it and not its opposite. Answers about one image make
    one item, because they are not independent.
    """
    judged = [(one, fact, float(is_right(one, fact))) for one in asked if (fact := _fact(one)) is not None]
    measures = {"answers right": _items(judged)}
    for relation in RELATIONS:
        own = [row for row in judged if row[1].predicate == relation]
        named = [row for row in own if row[1].form == "name"]
        called = relation.replace("_", " ")
        measures |= {
            name: _items(rows) for name, rows in ((called, own), (f"{called}, named", named)) if rows
        }
    for form in FORMS:
        own = [row for row in judged if row[1].form == form]
        if own:
            measures[f"form: {form}"] = _items(own)
    return measures


def _items(judged: list[tuple[Asked, Fact, float]]) -> Items:
    by_image: dict[str, list[float]] = {}
    for one, _, right in judged:
        by_image.setdefault(str(one.sample.meta.get("image", one.sample.key)), []).append(right)
    return Items(
        list(by_image),
        [sum(own) for own in by_image.values()],
        [float(len(own)) for own in by_image.values()],
    )


def _fact(one: Asked) -> Fact | None:
    """The fact of a question: the facts of a sample are in the order of its branches."""
    facts = one.sample.meta.get("facts", ())
    number = one.question.branch - 1
    return Fact.from_json(facts[number]) if 0 <= number < len(facts) else None


def is_right(one: Asked, fact: Fact) -> bool:
    """Whether an answer equals the stored one."""
    said = one.said.text.lower()
    if fact.form == "box":
        found = [part.box for part in one.said.parts if isinstance(part, BoxPart)]
        true = [part.box for part in one.reference.parts if isinstance(part, BoxPart)]
        return bool(found and true) and iou(found[0], true[0]) >= RIGHT_IOU
    if fact.form == "yes-no":
        return _first_of(("yes", "no"), said) == fact.answer
    if isinstance(fact.answer, int):
        return _names(one, fact, said)
    word = _WORDS[fact.answer]
    if fact.form == "sentence" and fact.anchor is not None:
        names = [re.escape(_called(one, number)) for number in (fact.subject, fact.anchor)]
        if names[0] != names[1] and _first_of(names, said) == names[1]:
            word = _OPPOSED[word]  # "B is right of A" says that A is left of B
    return _says(word, said) and not _says(_OPPOSED[word], said)


def _says(word: str, text: str) -> bool:
    return re.search(rf"\b(?:{word})\b", text) is not None


def _first_of(words: Sequence[str], text: str) -> str | None:
    """The word that a text says first; each word may hold alternatives."""
    places = {word: found.start() for word in words if (found := re.search(rf"\b(?:{word})\b", text))}
    return min(places, key=lambda word: places[word]) if places else None


def _names(one: Asked, fact: Fact, said: str) -> bool:
    """Whether the answer names the right thing, by its name or its box, before any other thing."""
    evidence = Evidence.of(one.sample)
    if evidence is None or not isinstance(fact.answer, int):
        return False
    boxes = [part.box for part in one.said.parts if isinstance(part, BoxPart)]
    if boxes:
        true = thing_of(evidence, fact.answer)
        return true is not None and iou(boxes[0], true.box) >= RIGHT_IOU
    names = [
        re.escape(name)
        for name in sorted({thing.called.lower() for thing in evidence.objects}, key=len, reverse=True)
    ]
    return _first_of(names, said) == re.escape(_called(one, fact.answer))


def _called(one: Asked, number: int) -> str:
    evidence = Evidence.of(one.sample)
    return "" if evidence is None else evidence.objects[number].called.lower()
