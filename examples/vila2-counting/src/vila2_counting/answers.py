"""Counting answers: read as claims, checked against what is known, and scored."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from vila2.plugin import Asked, Claim, Evidence, Items, Parsed, Said, assistant, user
from vila2_counting.numbers import read_counts


def parse(said: Said) -> Parsed:
    """Keeps an answer that counts something, with one claim for each count."""
    if said.status != "ok":
        return Parsed((), status=said.status)
    counts = list(read_counts(said.text))
    if not counts:
        return Parsed((), status="empty", detail="nothing is counted")
    claims = [
        Claim("count", one.start, one.end, "unverified", subject=one.kind, value=str(one.number))
        for one in counts
    ]
    return Parsed((user(said.prompt), assistant(said.text)), tuple(claims))


def verify(claims: Sequence[Claim], evidence: Evidence) -> tuple[Claim, ...]:
    """Counts against distinct labelled things.

    More things than the claim says always contradict it. Fewer things contradict it only where the evidence
    lists all of the kind.
    """
    there = Counter(thing.label for thing in evidence.objects)
    return tuple(_verified(claim, there, evidence) if claim.kind == "count" else claim for claim in claims)


def _verified(claim: Claim, there: Counter[str], evidence: Evidence) -> Claim:
    if not claim.value.isdigit():
        return claim
    known, claimed = there[claim.subject], int(claim.value)
    complete = evidence.all_objects and claim.subject in evidence.labels
    if known > claimed or (complete and known < claimed):
        return replace(claim, status="contradicted", detail=f"{known} {claim.subject} in the image")
    if complete and known == claimed:
        return replace(claim, status="supported", detail=f"{known} {claim.subject} in the image")
    return claim


def score(asked: Sequence[Asked]) -> dict[str, Items]:
    """Whether an answer gives every count of the reference and no other, and how far its numbers are off."""
    keys, right, error, counted = [], [], [], []
    for one in asked:
        truth = {count.kind: count.number for count in read_counts(one.reference.text)}
        said = {count.kind: count.number for count in read_counts(one.said.text)}
        keys.append(one.said.key)
        right.append(float(said == truth))
        error.append(float(sum(abs(said[kind] - truth[kind]) for kind in truth.keys() & said.keys())))
        counted.append(float(len(truth.keys() & said.keys())))
    return {
        "counts right": Items(keys, right, [1.0] * len(keys)),
        "mean error of a count": Items(keys, error, counted, unit="count", higher_is_better=False),
    }
