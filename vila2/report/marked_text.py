"""A caption cut into segments, each with the one mark that its characters carry (paper: Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

from vila2.report.results_page import ClaimMark

Mark = Literal["", "fact", "hallucination", "spatial"]

# What a reader must not miss comes first where claims overlap.
_PRIORITY: dict[Mark, int] = {"hallucination": 0, "spatial": 1, "fact": 2, "": 3}


@dataclass(frozen=True, slots=True)
class MarkedSpan:
    """Consecutive characters under one mark.

    Attributes:
        text: the characters, not yet escaped.
        mark: "" for plain text.
        title: what was checked there, one claim per line.
    """

    text: str
    mark: Mark = ""
    title: str = ""


def mark_of(claim: ClaimMark) -> Mark:
    """Facts green, hallucinations red, spatial statements blue; what could not be verified stays plain."""
    if claim.status == "contradicted":
        return "hallucination"
    if claim.status == "unverified":
        return ""
    return "spatial" if claim.kind == "relation" else "fact"


def cut_into_segments(text: str, claims: Sequence[ClaimMark]) -> tuple[MarkedSpan, ...]:
    """Cuts a text wherever the claim that shows changes; the segments' texts joined are the text.

    Where claims overlap the one that shows is a contradicted one, else a spatial one, else another; among
    equals the longest, so that "a red cube" stays one piece though "red" is a claim of its own.

    Args:
        text: text of the caption.
        claims: spans within the text (see :func:`vila2.report.results_page.parse_results`).
    """
    cuts = sorted({0, len(text)} | {claim.start for claim in claims} | {claim.end for claim in claims})
    pieces = [(start, end, _shown(claims, start, end)) for start, end in pairwise(cuts)]
    segments = []
    for shown, group in groupby(pieces, key=lambda piece: piece[2]):
        run = list(group)
        start, end = run[0][0], run[-1][1]
        if shown is None:
            segments.append(MarkedSpan(text[start:end]))
            continue
        first = claims[shown]
        others = [c for n, c in enumerate(claims) if n != shown and c.start < end and c.end > start]
        title = "\n".join(dict.fromkeys(claim_line(claim) for claim in [first, *others]))
        segments.append(MarkedSpan(text[start:end], mark_of(first), title))
    return tuple(segments)


def _shown(claims: Sequence[ClaimMark], start: int, end: int) -> int | None:
    """Number of the claim that shows between two neighboring cuts."""
    covering = [n for n, claim in enumerate(claims) if claim.start <= start and claim.end >= end]
    return min(
        covering,
        key=lambda n: (_PRIORITY[mark_of(claims[n])], claims[n].start - claims[n].end, n),
        default=None,
    )


def claim_line(claim: ClaimMark) -> str:
    """A claim, its verdict and the reason in a line."""
    subject = f" “{claim.subject}”" if claim.subject else ""
    detail = f": {claim.detail}" if claim.detail else ""
    return f"{claim.kind}{subject} {claim.status}{detail}"
