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
    """How far evidence decides claims; neither share means anything without the other.

    Attributes:
        claims: number of claims.
        coverage: share of the claims that some evidence decides.
        contradiction_rate: share of the decided claims that it refutes.
    """

    claims: int = Field(ge=0)
    coverage: Number
    contradiction_rate: Number


class MergedSource(Value):
    """The fate of what one layer said.

    Attributes:
        exchanges, sentences: numbers kept and dropped.
        verdicts: number of sentences by verdict.
        before, after: rates before and after the merge.
        words_before, words_after: words of answers and captions, per image.
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
        images: number of images merged.
        rows: number of rows written.
        sources: fate of each layer by name, in the order of the merge.
        all: fate of all layers together.
    """

    images: int = Field(ge=0)
    rows: int = Field(ge=0)
    sources: Mapping[str, MergedSource]
    all: MergedSource
