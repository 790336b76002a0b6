"""What a merge kept, what it dropped and why: its part of results.json."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from vila2.report.value import Number, Value


class Kept(Value):
    """How many were kept, and how many dropped by reason."""

    kept: int = Field(ge=0)
    dropped: Mapping[str, int]


class Rates(Value):
    """How far claims are decided: neither share says anything without the other.

    Attributes:
        coverage: of the claims, that some evidence decides.
        contradiction_rate: of those, that it refutes.
    """

    claims: int = Field(ge=0)
    coverage: Number
    contradiction_rate: Number


class MergedSource(Value):
    """What became of what one layer said.

    Attributes:
        verdicts: sentences by verdict.
        before, after: the merge.
        words_before, words_after: of answers and captions, per image.
    """

    exchanges: Kept
    sentences: Kept
    verdicts: Mapping[str, int]
    before: Rates
    after: Rates
    words_before: float
    words_after: float


class MergeResult(Value):
    """A merge, as :func:`vila2.merge.fate_counts.tally_merge` counts it.

    Attributes:
        images, rows: that were merged, and that were written.
        sources: the layers by name, in the order of the merge.
        all: of them together.
    """

    images: int = Field(ge=0)
    rows: int = Field(ge=0)
    sources: Mapping[str, MergedSource]
    all: MergedSource
