"""What is known of one image from the specialists' claims: things, texts and relations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from vila2.claims.names import Name, agree, name_of
from vila2.data.boxes import Box, Point, iou
from vila2.data.claims import Claim
from vila2.data.evidence import Evidence, SceneObject, WrittenText
from vila2.merge.places import Place, match
from vila2.plugin.verifying import NO_CONTEXT, VerifierContext

#: Boxes of agreeing names that overlap so much are of one thing.
_SAME = 0.7


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing that a specialist gives a box, or points at."""

    name: Name
    place: Place

    @property
    def box(self) -> Box | None:
        """The box, or None where there is only a point."""
        return self.place if len(self.place) == 4 else None

    def reach(self, axis: Literal[0, 1]) -> Point:
        """From where to where it reaches, horizontally (0) or vertically (1); a point is where it is."""
        return self.place[axis], self.place[axis - 2]

    def is_one_with(self, other: Thing) -> bool:
        """Whether two things with agreeing names are surely the same."""
        if self.box and other.box:
            return iou(self.box, other.box) >= _SAME
        return match(self.place, other.place) == "same"


@dataclass(frozen=True, slots=True)
class Stated:
    """A relation that a specialist states; the object is () for a relation to the camera."""

    subject: Name
    predicate: str
    object: Name


@dataclass(frozen=True)
class Known:
    """What some specialists say of one image, as evidence for the others.

    Attributes:
        things: distinct things with their places.
        written: written texts, each with the name of what it is on; () where nobody says.
        stated: relations, with and without boxes.
        labels: heads of names that were looked for: there are no more such things than boxes. Empty where
            absence proves nothing.
        all_texts: whether text that nobody read is absent.
        all_counted: whether an answer may introduce a thing only as often as it was found. It does not apply
            to numbers that an answer states.
        found: heads of names that the specialists can find at all; about other things nothing can be known.
        context: the image and the dataset's own evidence, which is part of everything above.
    """

    things: tuple[Thing, ...] = ()
    written: tuple[tuple[str, Name], ...] = ()
    stated: tuple[Stated, ...] = ()
    labels: frozenset[str] = field(default_factory=frozenset)
    all_texts: bool = False
    all_counted: bool = False
    found: frozenset[str] = field(default_factory=frozenset)
    context: VerifierContext = NO_CONTEXT

    @cached_property
    def evidence(self) -> Evidence:
        """The evidence in the form that plugins' verifiers read, without labels and without relations."""
        given = self.context.evidence or Evidence()
        own = set(_given_things(given)), set(_given_texts(given))
        return given.model_copy(
            update={
                "objects": given.objects
                + tuple(
                    SceneObject(label=one.name[-1], name=" ".join(one.name), box=one.box)
                    for one in self.things
                    if one not in own[0]
                ),
                "all_objects": bool(self.labels),
                "texts": given.texts
                + tuple(
                    WrittenText(text=text, on=" ".join(on))
                    for text, on in self.written
                    if (text, on) not in own[1]
                ),
                "all_texts": self.all_texts,
            }
        )

    def evidence_about(self, claims: Iterable[Claim]) -> Evidence:
        """The evidence with the labels that the claims mention; a specialist can know thousands."""
        heads = {name[-1] for claim in claims if (name := name_of(claim.subject))}
        given = self.evidence.labels if self.context.evidence and self.context.evidence.all_objects else ()
        return self.evidence.model_copy(update={"labels": tuple(sorted({*given, *(self.labels & heads)}))})

    def meant(self, name: Name) -> list[Thing]:
        """The things that a name can stand for."""
        return [one for one in self.things if agree(name, one.name)]


def known_of(
    claims: Iterable[Claim],
    *,
    labels: Set[str] = frozenset(),
    all_texts: bool = False,
    all_counted: bool = False,
    found: Set[str] = frozenset(),
    context: VerifierContext = NO_CONTEXT,
) -> Known:
    """What is known from the claims of several specialists; for the other arguments see :class:`Known`.

    The dataset's own evidence counts as theirs. It proves absence wherever it says that it is complete.
    """
    claims, given = list(claims), context.evidence or Evidence()
    listed = {name[-1] for label in given.labels if given.all_objects and (name := name_of(label))}
    written = [(one.value, name_of(one.subject)) for one in claims if one.kind == "text" and one.value]
    stated = dict.fromkeys(
        Stated(name_of(one.subject), one.predicate, name_of(one.object))
        for one in claims
        if one.kind == "relation"
    )
    return Known(
        tuple(_distinct(claims, _given_things(given))),
        tuple(dict.fromkeys([*_given_texts(given), *written])),
        tuple(stated),
        labels=frozenset(labels) | listed,
        all_texts=all_texts or given.all_texts,
        all_counted=all_counted,
        found=frozenset(found) | listed,
        context=context,
    )


def _given_things(given: Evidence) -> list[Thing]:
    return [Thing(name_of(one.called), one.box) for one in given.objects if one.box and name_of(one.called)]


def _given_texts(given: Evidence) -> list[tuple[str, Name]]:
    return [(one.text, name_of(one.on)) for one in given.texts]


def _distinct(claims: Sequence[Claim], given: Sequence[Thing]) -> list[Thing]:
    """The things with a place, each once. Boxes come first: a point in a box is on the box's thing."""
    things = list(given)
    for claim in sorted(claims, key=lambda one: not one.boxes):
        before = list(things)  # an answer points at several things, however near they are to each other
        for thing in _placed([claim]):
            among = things if thing.box else before
            if not any(agree(thing.name, one.name) and thing.is_one_with(one) for one in among):
                things.append(thing)
    return things


def heads_of(claims: Iterable[Claim]) -> set[str]:
    """The heads of the names that have a place: what the specialist of the claims can find."""
    return {thing.name[-1] for thing in _placed(claims)}


def _placed(claims: Iterable[Claim]) -> Iterator[Thing]:
    """The things in claims: subject and object of a relation, else the subject for each place."""
    for claim in claims:
        if claim.kind == "relation":
            named = [name_of(claim.subject), name_of(claim.object)]
        else:
            named = [name_of(claim.subject)] * len(claim.places)
        for name, place in zip(named, claim.places, strict=False):
            if name:
                yield Thing(name, place)
