"""Grounded captions from boxes with names: one sentence that lists the things of the evidence."""

from __future__ import annotations

from collections.abc import Iterator

from vila2.plugin import Box, DataError, Evidence, Reject, Sample, python_generator

from vila2_grounding.grounded import Grounded, Phrase
from vila2_grounding.phrases import indefinite, lemma

_OPENINGS = ("The image shows ", "There is ", "We can see ")


def read_things(sample: Sample, seed: int = 0) -> Iterator[Grounded | Reject]:
    """A sentence that lists the things of a sample's evidence from left to right.

    It reads "There is a red cube, two ...". Things of the same name are one phrase with several boxes. The
    category of a phrase is the label.
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
        boxes = named.setdefault(thing.called, (lemma_of_label(thing.label), []))[1]
        if thing.box not in boxes:
            boxes.append(thing.box)
    if not named:
        yield Reject(where, sample.key, "no-objects", "nothing in the image has a box")
        return
    order = sorted((sorted(boxes), name, category) for name, (category, boxes) in named.items())
    draw = python_generator(seed, "things", sample.key)
    caption = draw.choice(_OPENINGS)
    phrases = []
    for number, (boxes, name, category) in enumerate(order):
        if number:
            caption += " and " if number == len(order) - 1 else ", "
        start = len(caption)
        caption += indefinite(name, len(boxes))
        phrases.append(Phrase(start, len(caption), tuple(boxes), category))
    meta = {"image": sample.meta.get("image", sample.key), **evidence.to_meta()}
    yield Grounded(sample.key, sample.images[0], caption + ".", tuple(phrases), (), meta)


def lemma_of_label(label: str) -> str:
    """A label as a category: its last word in the singular."""
    before, space, noun = label.lower().rpartition(" ")
    return before + space + lemma(noun)
