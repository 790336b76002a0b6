"""Things that a caption introduces more often than there are: "a red cube and a red cube" where one was found.

Three of four things that a small model's captions make up are of this sort: what it names is there, but once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from vila2.cycle.merge.hearing import Spoken
from vila2.cycle.merge.known import Known
from vila2.cycle.merge.names import agree, name_of
from vila2.data.claims import Claim

_INTRODUCES = re.compile(r"(?:an?|another)\s", re.IGNORECASE)


def refuted_repeats(spoken: Sequence[Spoken], known: Known) -> list[Spoken]:
    """The sentences of one answer; one that introduces a thing for which no box is left is contradicted.

    Every "a", "an" and "another" needs a thing of its own among those that the name can mean, as many as possible
    being placed. Nothing is said of names for which no box was found, nor of claims with boxes of their own.
    """
    taken: dict[int, list[int]] = {}  # a thing's number to what the name that holds it can mean
    found = []
    for one in spoken:
        before = dict(taken)
        claims = tuple(_placed(claim, one, known, taken) for claim in one.sentence.claims)
        if one.verdict != "contradicted" and claims != one.sentence.claims:
            one = replace(one, sentence=replace(one.sentence, claims=claims), verdict="contradicted")
        if one.verdict == "contradicted":
            taken = before  # what goes introduces nothing
        found.append(one)
    return found


def _placed(claim: Claim, one: Spoken, known: Known, taken: dict[int, list[int]]) -> Claim:
    if claim.kind != "object" or claim.boxes or not _INTRODUCES.match(one.sentence.bare, claim.start):
        return claim
    name = name_of(claim.subject)
    meant = [number for number, thing in enumerate(known.things) if agree(name, thing.name)]
    if not meant or _makes_room(meant, taken, set()):
        return claim
    return replace(claim, status="contradicted", detail=f"{len(meant)} found, and each of them named before")


def _makes_room(meant: list[int], taken: dict[int, list[int]], tried: set[int]) -> bool:
    """Gives a name one of the things that it can mean, moving others where they can mean another one."""
    for thing in meant:
        if thing in tried:
            continue
        tried.add(thing)
        if thing not in taken or _makes_room(taken[thing], taken, tried):
            taken[thing] = meant
            return True
    return False
