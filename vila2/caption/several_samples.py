"""Several samples of each caption, of which the one that the others agree with most is kept.

The first sample is the answer that the settings ask for (the likeliest one, at temperature 0). The others are
drawn at a temperature. A sample that contradicts itself is kept only where all do. No truth and no specialist
is needed: what a model sees it says again, and what it invents differs from sample to sample.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any, Literal, Self

from vila2.caption.asked_captions import annotate
from vila2.claims.agreement import agreement
from vila2.claims.self_consistency import contradiction
from vila2.data.annotations import Annotation
from vila2.engine.protocol import Engine, GenerationSettings, Request

_FORM = re.compile(
    r"sample (\d+) of (\d+), agreement ([\d.]+) by (claims|words)(?:, (\d+) refuted)?(?:; (.*))?", re.S
)


@dataclass(frozen=True, slots=True)
class SampleRank:
    """How a sample compares with the others; it is the ``detail`` of the sample's annotation.

    Attributes:
        number: number of the sample, from 1.
        of: number of samples.
        agreement: mean overlap with the other usable samples, 0 to 1.
        by: what was compared.
        refuted: number of sentences that specialists refute; None where none was asked.
        fault: contradiction within the sample; "" where there is none.
    """

    number: int
    of: int
    agreement: float
    by: Literal["claims", "words"]
    refuted: int | None = None
    fault: str = ""

    def __str__(self) -> str:
        text = f"sample {self.number} of {self.of}, agreement {self.agreement:.4f} by {self.by}"
        if self.refuted is not None:
            text += f", {self.refuted} refuted"
        return f"{text}; {self.fault}" if self.fault else text

    @classmethod
    def parse(cls, detail: str) -> Self | None:
        """Reads what ``str`` wrote; None for the detail of another kind of annotation."""
        hit = _FORM.fullmatch(detail)
        if hit is None:
            return None
        refuted = None if hit[5] is None else int(hit[5])
        by: Literal["claims", "words"] = "claims" if hit[4] == "claims" else "words"
        return cls(int(hit[1]), int(hit[2]), float(hit[3]), by, refuted, hit[6] or "")


#: Samples of one image, each with its standing; None for one that cannot be used.
Ranked = list[tuple[Annotation, SampleRank | None]]
#: What samples are ranked by: whether they contradict themselves and how well they agree, how many of their
#: sentences are refuted, or both.
RankedBy = Literal["agreement", "verified", "both"]


@dataclass(frozen=True, slots=True)
class Samples:
    """Asks several times about each image; see the top of this file.

    Attributes:
        count: number of samples of each caption.
        temperature: temperature of all samples but the first.
        keep_all: whether all samples are kept, best first, and not the best one alone.
    """

    count: int
    temperature: float
    keep_all: bool = False

    @property
    def job(self) -> dict[str, Any]:
        """What determines the choice; JSON-able."""
        how = {"by": "agreement", "samples": self.count, "temperature": self.temperature}
        return {"choose": how | ({"keep": "all"} if self.keep_all else {})}

    def annotate(
        self, engine: Engine, requests: Sequence[Request], settings: GenerationSettings
    ) -> list[list[Annotation]]:
        """The best sample of each request, or all of them; see :class:`vila2.caption.chooser.Chooser`."""
        drawn = [annotate(engine, requests, settings)]
        for number in range(1, self.count):
            sampled = replace(settings, temperature=self.temperature, seed=settings.seed + number)
            drawn.append(annotate(engine, requests, sampled))
        chosen = []
        for samples in zip(*drawn, strict=True):
            rows = [row for row, _ in ranked(samples)]
            chosen.append(rows if self.keep_all else rows[:1])
        return chosen


def ranked(samples: Sequence[Annotation]) -> Ranked:
    """The samples of one image, best first, those that cannot be used last.

    Consistent ones go before those that contradict themselves; then more agreement, more words, and the
    earlier sample.
    """
    usable = [(number, row) for number, row in enumerate(samples, start=1) if row.status == "ok"]
    found = agreement([row.text for _, row in usable])
    standings: Ranked = [
        (row, SampleRank(number, len(samples), agreed, found.by, fault=contradiction(row.text)))
        for (number, row), agreed in zip(usable, found.of_each, strict=True)
    ]
    return _in_order([*standings, *((row, None) for row in samples if row.status != "ok")], "agreement")


def ranked_again(
    rows: Sequence[Annotation], by: RankedBy, refuted: Callable[[Sequence[str]], Sequence[int]] | None = None
) -> Ranked:
    """Ranks samples that were kept by :class:`Samples`, as their marks say, or with what specialists say.

    Args:
        rows: all samples of one image.
        by: what counts. With "both", a contradiction counts before refuted sentences, and these before
            agreement.
        refuted: function that counts the refuted sentences of texts.
    """
    known = [(row, SampleRank.parse(row.detail)) for row in rows]
    texts = [row.text for row, standing in known if standing]
    counts = iter(refuted(texts) if refuted and texts else [None] * len(texts))
    return _in_order(
        [(row, standing and replace(standing, refuted=next(counts))) for row, standing in known], by
    )


def _in_order(samples: Ranked, by: RankedBy) -> Ranked:
    def place(one: tuple[Annotation, SampleRank | None]) -> tuple[float, ...]:
        row, standing = one
        if standing is None:
            return (1.0,)
        fault, wrong = float(bool(standing.fault)), float(standing.refuted or 0)
        first = {"agreement": (fault,), "verified": (wrong, fault), "both": (fault, wrong)}[by]
        # Rounded as it is written, so that equal figures are a tie for a reader too.
        agreed = round(standing.agreement, 4)
        return 0.0, *first, -agreed, -float(len(row.text.split())), float(standing.number)

    marked = sorted(samples, key=place)
    return [(_marked(row, standing) if standing else row, standing) for row, standing in marked]


def _marked(row: Annotation, standing: SampleRank) -> Annotation:
    return replace(row, status="contradiction" if standing.fault else "ok", detail=str(standing))


@dataclass(frozen=True, slots=True)
class ChoiceCounts:
    """What was chosen.

    Attributes:
        images: number of images with a usable sample.
        first: number of images whose first sample was kept.
        agreement: mean agreement of what was kept.
        by_words: number of images whose samples were compared word by word, because most of them make no
            claim that can be read.
    """

    images: int
    first: int
    agreement: float
    by_words: int

    def to_json(self) -> dict[str, int | float]:
        """The counts by name."""
        return asdict(self)


def count_choices(rows: Iterable[Annotation]) -> ChoiceCounts | None:
    """Counts choices from the kept annotations, best first for each image; None where nothing was chosen."""
    best = (next(own) for _, own in groupby(rows, key=lambda row: row.key))
    kept = [standing for row in best if (standing := SampleRank.parse(row.detail))]
    if not kept:
        return None
    return ChoiceCounts(
        images=len(kept),
        first=sum(one.number == 1 for one in kept),
        agreement=round(sum(one.agreement for one in kept) / len(kept), 4),
        by_words=sum(one.by == "words" for one in kept),
    )
