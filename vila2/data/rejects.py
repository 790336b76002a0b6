"""Rejects for a reader: how many of which reason, and examples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from vila2.data.shortening import shortened

EXAMPLES = 2
_LONGEST = 200  # letters of a detail
_LOOKED_AT = 10_000  # lines of a file, for examples


@dataclass(slots=True)
class RejectTally:
    """Counts rejects as they come.

    Attributes:
        counts: by reason.
        examples: the first of a reason each, a few.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: list[Reject] = field(default_factory=list)

    def add(self, reject: Reject) -> None:
        """Counts a reject."""
        if len(self.examples) < EXAMPLES and reject.reason not in self.counts:
            self.examples.append(reject)
        self.counts[reject.reason] += 1

    def __str__(self) -> str:
        """Counts by reason, then a line for each example; "none" where there are none."""
        counts = ", ".join(f"{reason} {count:,}" for reason, count in self.counts.most_common()) or "none"
        return "\n  ".join([counts, *self.lines()])

    def lines(self) -> list[str]:
        """The examples, a line each."""
        return [f"for example {shown_reject(reject)}" for reject in self.examples]


def tally_rejects(rejects: Iterable[Reject]) -> RejectTally:
    """Counts rejects."""
    tally = RejectTally()
    for reject in rejects:
        tally.add(reject)
    return tally


def read_rejects(file: Path, limit: int | None = None) -> Iterator[Reject]:
    """The rejects of a ``rejected.jsonl``; none where there is no such file.

    Args:
        file: that an import or a build wrote.
        limit: of lines that are read.
    """
    if not file.is_file():
        return
    with file.open("rb") as lines:
        for line in islice(lines, limit):
            yield Reject(**json.loads(line))


def describe_rejects(counts: Mapping[str, int], file: Path) -> str:
    """Counts by reason, then two examples from the file that has all of them; "" for none.

    Args:
        counts: by reason.
        file: the ``rejected.jsonl``.
    """
    if not counts:
        return ""
    examples = tally_rejects(read_rejects(file, _LOOKED_AT)).examples
    return str(RejectTally(Counter(counts), examples))


def shown_reject(reject: Reject) -> str:
    """Place, reason and detail of a reject on one line."""
    detail = " ".join(reject.detail.split())
    detail = detail if len(detail) <= _LONGEST else detail[: _LONGEST - 3] + "..."
    place = reject.where if reject.key in reject.where else f"{reject.where}: {reject.key}"
    return f"{place}: {reject.reason}" + (f": {detail}" if detail else "")


_LONGEST_KEY = 1000  # that a reject names whole: addresses are keys as well


@dataclass(frozen=True, slots=True)
class Reject:
    """An input that can not become a sample; one line of rejected.jsonl.

    Attributes:
        where: the file, with the line where there is one.
        key: the sample's key, "" where it has none.
        reason: a code in lower case with dashes, such as "corrupt-image"; counted.
        detail: one line for a reader.
    """

    where: str
    key: str
    reason: str
    detail: str = ""

    def __post_init__(self) -> None:
        # Whatever an input holds, its reject stays a line that a person can read.
        object.__setattr__(self, "detail", shortened(self.detail))
        for name, text in (("where", self.where), ("key", self.key)):
            if len(text) > _LONGEST_KEY:
                object.__setattr__(self, name, shortened(text))
