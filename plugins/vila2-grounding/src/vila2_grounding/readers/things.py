"""Grounded captions from boxes with names: sentences that say what the evidence knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from vila2.plugin import Box, DataError, Evidence, Reject, Sample, python_generator

from vila2_grounding.grounded import Grounded, Phrase
from vila2_grounding.phrases import indefinite, is_plural, lemma, spoken

#: How a sentence may introduce things; ``{verb}`` agrees with the first of them.
_FIRST = ("The image shows {things}.", "There {verb} {things}.", "We can see {things}.")
_LAST = ("There {verb} also {things}.", "We also see {things}.", "The image also shows {things}.")
#: Things of one sentence at most, and the gap of two centers from which on one is left of the other.
_IN_ONE, _APART = 3, 0.15


def read_things(sample: Sample, seed: int = 0) -> Iterator[Grounded | Reject]:
    """Sentences about the things of a sample's evidence, from left to right.

    They read "There are two chairs and a sofa. We also see a dog.", or "A dog is to the left of a sofa.".
    Things of the same name are one phrase with several boxes. The category of a phrase is the label.
    """
    where = str(sample.meta.get("image", sample.key))
    try:
        evidence = Evidence.of(sample)
    except DataError as error:
        yield Reject(where, sample.key, "bad-evidence", error.what)
        return
    if evidence is None or not sample.images:
        yield Reject(where, sample.key, "no-objects", "no caption with spans, and no evidence with objects")
        return
    named: dict[str, tuple[str, list[Box]]] = {}
    for thing in evidence.objects:
        if thing.box is None:
            yield Reject(where, sample.key, "no-2d-box", f"{thing.called} has no box in the image")
            continue
        if not thing.called.strip() or not thing.label.strip():
            yield Reject(where, sample.key, "no-name", f"a thing is called {thing.called!r:.40}")
            continue
        boxes = named.setdefault(spoken(thing.called), (lemma_of_label(thing.label), []))[1]
        if thing.box not in boxes:
            boxes.append(thing.box)
    if not named:
        yield Reject(where, sample.key, "no-objects", "nothing in the image has a box")
        return
    order = [
        _Named(name, tuple(sorted(boxes)), category)
        for name, (category, boxes) in sorted(named.items(), key=lambda one: (sorted(one[1][1]), one[0]))
    ]
    draw = python_generator(seed, "things", sample.key)
    caption, phrases = "", []
    for template, things in _sentences(order, draw, plain=sample.meta.get("domain") == "miniature"):
        before, after = template.format(verb=things[0].verb, things="{things}").split("{things}")
        caption += (" " if caption else "") + before
        for number, one in enumerate(things):
            if number:
                caption += after.split("|")[0] if "|" in after else _comma(number, len(things))
            said = indefinite(one.name, len(one.boxes))
            said = said[0].upper() + said[1:] if not before and not number else said
            phrases.append(Phrase(len(caption), len(caption) + len(said), one.boxes, one.category))
            caption += said
        caption += after.split("|")[-1]
    meta = {"image": sample.meta.get("image", sample.key), **evidence.to_meta()}
    yield Grounded(sample.key, sample.images[0], caption, tuple(phrases), (), meta)


@dataclass(frozen=True, slots=True)
class _Named:
    """The things of one name."""

    name: str
    boxes: tuple[Box, ...]
    category: str

    @property
    def verb(self) -> str:
        return "are" if is_plural(self.name, len(self.boxes)) else "is"

    @property
    def middle(self) -> float:
        return (self.boxes[0][0] + self.boxes[0][2]) / 2


def _sentences(
    order: Sequence[_Named], draw: Random, *, plain: bool
) -> Iterator[tuple[str, Sequence[_Named]]]:
    """Templates of sentences, each with the things that it names; "|" ends what stands between two things.

    Args:
        order: everything to name.
        draw: source of the choice.
        plain: whether one sentence lists everything, as the miniature's language model can read it.
    """
    if plain:
        yield draw.choice(_FIRST), order
        return
    two = len(order) == 2 and all(len(one.boxes) == 1 for one in order)
    if two and order[1].middle - order[0].middle >= _APART and draw.random() < 0.5:
        yield "{things} " + order[0].verb + " to the left of |.", order
        return
    for start in range(0, len(order), _IN_ONE):
        yield draw.choice(_LAST if start else _FIRST), order[start : start + _IN_ONE]


def _comma(number: int, count: int) -> str:
    """What stands before a thing in a list."""
    return " and " if number == count - 1 else ", "


def lemma_of_label(label: str) -> str:
    """A label as a category: its last word in the singular."""
    before, space, noun = label.lower().rpartition(" ")
    return before + space + lemma(noun)
