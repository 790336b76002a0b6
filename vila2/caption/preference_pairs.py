"""Pairs of captions of one image, the better one and a worse one, chosen among samples of one model.

The better one is the sample that ranks first. The worse one is the last in rank that is worse for a reason:
it contradicts itself, more of its sentences are refuted, or the others agree with it less. What differs
otherwise between the two is learned as well. So the better one is at least as long by default, and names at
least as many different things, or a model would learn to say less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vila2.caption.several_samples import RankedBy, SampleRank, ranked_again
from vila2.claims.agreement import stated
from vila2.data.annotations import Annotation

#: Why an image has no pair.
NoPair = Literal["unusable", "no better one", "no worse one", "length"]
#: How long the better one is beside the worse one; see :class:`PairRule`.
PairLength = Literal["matched", "floor", "free"]

_MATCH = 0.2  # at most so much of the longer one's words


@dataclass(frozen=True, slots=True)
class PairRule:
    """How pairs are chosen.

    Attributes:
        by: what samples are ranked by.
        margin: how much less the others agree with the worse one, if that is all that is wrong with it.
        length: "matched": the two differ by a fifth of their words at most, and the better one names at least
            as many different things. "floor": the better one has at least as many words, and names as many.
            "free": any two.
    """

    by: RankedBy = "agreement"
    margin: float = 0.1
    length: PairLength = "floor"


def pair_of(
    rows: Sequence[Annotation],
    rule: PairRule,
    refuted: Callable[[Sequence[str]], Sequence[int]] | None = None,
) -> tuple[Annotation, Annotation] | NoPair:
    """The better and the worse caption of an image, or why there is no pair.

    Args:
        rows: all samples of the image, as :class:`vila2.caption.several_samples.Samples` keeps them.
        rule: how pairs are chosen.
        refuted: function that counts the refuted sentences of texts.
    """
    usable = [(row, one) for row, one in ranked_again(rows, rule.by, refuted) if one is not None]
    if not usable:
        return "unusable"
    (better, best), *others = usable
    if best.fault or (rule.by != "agreement" and best.refuted):
        return "no better one"
    worse = [row for row, one in others if _is_worse(one, best, rule)]
    if not worse:
        return "no worse one"
    allowed = [row for row in worse if _fits(better.text, row.text, rule.length)]
    if not allowed:
        return "length"
    return better, replace(allowed[-1], status="rejected")


def _is_worse(one: SampleRank, best: SampleRank, rule: PairRule) -> bool:
    wrong = (one.refuted or 0) > (best.refuted or 0)
    disagrees = bool(one.fault) or one.agreement < best.agreement - rule.margin
    return {"agreement": disagrees, "verified": wrong, "both": wrong or disagrees}[rule.by]


def _fits(better: str, worse: str, rule: PairLength) -> bool:
    if rule == "free":
        return True
    words, others = len(better.split()), len(worse.split())
    fits = words >= others if rule == "floor" else abs(words - others) <= _MATCH * max(words, others)
    return fits and len(_things(better)) >= len(_things(worse))


def _things(text: str) -> set[str]:
    return {subject for kind, subject, *_ in stated(text) if kind in ("object", "count")}
