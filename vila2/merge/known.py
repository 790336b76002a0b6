"""What the specialists' claims let be known of one image: evidence as plugins read it, and relations that have no box."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from functools import cached_property

from vila2.claims.names import Name, agree, name_of
from vila2.data.boxes import Box, iou
from vila2.data.claims import Claim
from vila2.data.evidence import Evidence, SceneObject, WrittenText

#: Boxes of agreeing names that overlap so much are of one thing.
_SAME = 0.7


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing that a specialist gives a box."""

    name: Name
    box: Box


@dataclass(frozen=True, slots=True)
class Stated:
    """A relation that a specialist states; the object is () where it is to the camera."""

    subject: Name
    predicate: str
    object: Name


@dataclass(frozen=True)
class Known:
    """What some specialists say of one image, as evidence for the others.

    Attributes:
        things: distinct ones with their boxes.
        written: text, and the name of what it stands on (() where nobody says).
        stated: relations, with and without boxes.
        labels: heads of names that were looked for: such a thing is absent where no box is, and where some are there
            are no more. Empty where absence proves nothing.
        all_texts: whether text that nobody read is absent.
        all_counted: whether an answer may introduce a thing no more often than it was found; of a number that an
            answer gives this says nothing.
        found: heads of names that the specialists can find at all; of other things nothing can be known.
    """

    things: tuple[Thing, ...] = ()
    written: tuple[tuple[str, Name], ...] = ()
    stated: tuple[Stated, ...] = ()
    labels: frozenset[str] = field(default_factory=frozenset)
    all_texts: bool = False
    all_counted: bool = False
    found: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def evidence(self) -> Evidence:
        """In the form that plugins' verifiers read, but for the labels; relations without a box have no place in it."""
        return Evidence(
            objects=tuple(
                SceneObject(label=one.name[-1], name=" ".join(one.name), box=one.box) for one in self.things
            ),
            all_objects=bool(self.labels),
            texts=tuple(WrittenText(text=text, on=" ".join(on)) for text, on in self.written),
            all_texts=self.all_texts,
        )

    def evidence_about(self, claims: Iterable[Claim]) -> Evidence:
        """The evidence with those labels that the claims speak of: a specialist can know thousands."""
        heads = {name[-1] for claim in claims if (name := name_of(claim.subject))}
        return self.evidence.model_copy(update={"labels": tuple(sorted(self.labels & heads))})

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
) -> Known:
    """What claims of several specialists let be known together; the rest as in :class:`Known`."""
    claims = list(claims)
    things: list[Thing] = []
    for thing in _boxed(claims):
        if not any(agree(thing.name, one.name) and iou(thing.box, one.box) >= _SAME for one in things):
            things.append(thing)
    written = dict.fromkeys(
        (one.value, name_of(one.subject)) for one in claims if one.kind == "text" and one.value
    )
    stated = dict.fromkeys(
        Stated(name_of(one.subject), one.predicate, name_of(one.object))
        for one in claims
        if one.kind == "relation"
    )
    return Known(
        tuple(things),
        tuple(written),
        tuple(stated),
        labels=frozenset(labels),
        all_texts=all_texts,
        all_counted=all_counted,
        found=frozenset(found),
    )


def heads_of(claims: Iterable[Claim]) -> set[str]:
    """The heads of the names that are given a box: what their specialist can find."""
    return {thing.name[-1] for thing in _boxed(claims)}


def _boxed(claims: Iterable[Claim]) -> Iterator[Thing]:
    """The things that claims give boxes: of a relation the subject's and the object's, else all are the subject's."""
    for claim in claims:
        if claim.kind == "relation":
            named = [name_of(claim.subject), name_of(claim.object)]
        else:
            named = [name_of(claim.subject)] * len(claim.boxes)
        for name, box in zip(named, claim.boxes, strict=False):
            if name:
                yield Thing(name, box)
