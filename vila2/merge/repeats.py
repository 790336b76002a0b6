"""Things that a caption introduces more often than they occur: "a cube and a cube" where one was found.

Three of four things that a small model's captions make up are of this kind: the thing is there, but once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

from vila2.claims.introductions import introduced
from vila2.claims.names import Name, agree, name_of
from vila2.data.claims import Claim
from vila2.merge.hearing import Spoken
from vila2.merge.known import Known


def refuted_repeats(spoken: Sequence[Spoken], known: Known) -> list[Spoken]:
    """The sentences of one answer; one that introduces a thing for which no box is left is contradicted.

    Each thing that is new by :func:`~vila2.claims.introductions.introduced` needs a box of its own among
    those that its name can mean; boxes are assigned so that as many things as possible get one. Names for
    which no box was found, and claims with boxes of their own, are not judged.
    """

    @cache
    def meant(name: Name) -> tuple[int, ...]:
        return tuple(number for number, thing in enumerate(known.things) if agree(name, thing.name))

    taken: dict[int, Name] = {}  # a thing's number to the name that holds it
    found = []
    for one in spoken:
        before = dict(taken)
        new = _new(one)
        claims = tuple(
            _placed(claim, meant, taken) if claim in new else claim for claim in one.sentence.claims
        )
        if one.verdict != "contradicted" and claims != one.sentence.claims:
            one = replace(one, sentence=replace(one.sentence, claims=claims), verdict="contradicted")
        if one.verdict == "contradicted":
            taken = before  # a dropped sentence introduces nothing
        found.append(one)
    return found


def _new(one: Spoken) -> set[Claim]:
    """The claims of a sentence that introduce a thing."""
    named = sorted(
        (claim for claim in one.sentence.claims if claim.kind in ("object", "count")),
        key=lambda claim: claim.start,
    )
    new = introduced(one.sentence.text, [(claim.start, claim.end) for claim in named])
    return {
        claim
        for claim, is_new in zip(named, new, strict=True)
        if is_new and claim.kind == "object" and not claim.places
    }


def _placed(claim: Claim, meant: Callable[[Name], tuple[int, ...]], taken: dict[int, Name]) -> Claim:
    name = name_of(claim.subject)
    things = meant(name)
    if not things or _makes_room(name, meant, taken):
        return claim
    return replace(claim, status="contradicted", detail=f"{len(things)} found, and each of them named before")


def _makes_room(name: Name, meant: Callable[[Name], tuple[int, ...]], taken: dict[int, Name]) -> bool:
    """Assigns one of its things to a name, moving other names to other things where they allow it."""
    wanted: dict[int, int | None] = {}  # a thing, and the thing that the name which wants it would leave
    asked: set[Name] = set()
    waiting: list[tuple[Name, int | None]] = [(name, None)]
    for who, leaves in waiting:
        if who in asked:
            continue
        asked.add(who)
        for thing in meant(who):
            if thing in wanted:
                continue
            wanted[thing] = leaves
            if thing in taken:
                waiting.append((taken[thing], thing))
                continue
            while leaves is not None:
                taken[thing] = taken[leaves]
                thing, leaves = leaves, wanted[leaves]
            taken[thing] = name
            return True
    return False
