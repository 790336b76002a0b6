"""Rejects: inputs that could not become samples, and their summary for a reader."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from vila2.data.parsing import parsing
from vila2.data.shortening import printable, shortened

EXAMPLES = 2
_LONGEST = 200  # letters of a detail
_LOOKED_AT = 10_000  # lines of a file that are searched for examples


@dataclass(slots=True)
class RejectTally:
    """A count of rejects, with examples.

    Attributes:
        counts: number of rejects by reason.
        examples: first rejects of the first few reasons.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: list[Reject] = field(default_factory=list)

    def add(self, reject: Reject) -> None:
        """Counts a reject."""
        if len(self.examples) < EXAMPLES and reject.reason not in self.counts:
            self.examples.append(reject)
        self.counts[reject.reason] += 1

    def __str__(self) -> str:
        """Writes the counts by reason, then a line for each example; "none" where there are none."""
        counts = ", ".join(f"{reason} {count:,}" for reason, count in self.counts.most_common()) or "none"
        return "\n  ".join([counts, *self.lines()])

    def lines(self) -> list[str]:
        """Writes the examples, a line each."""
        return [f"for example {shown_reject(reject)}" for reject in self.examples]


def tally_rejects(rejects: Iterable[Reject]) -> RejectTally:
    """Counts rejects."""
    tally = RejectTally()
    for reject in rejects:
        tally.add(reject)
    return tally


def read_rejects(file: Path, limit: int | None = None) -> Iterator[Reject]:
    """Reads the rejects of a ``rejected.jsonl``; none where there is no such file.

    Args:
        file: path of the file, which an import or a build wrote.
        limit: largest number of lines to read; None reads all.

    Raises:
        DataError: a line is no reject.
    """
    if not file.is_file():
        return
    with file.open("rb") as lines:
        for line in islice(lines, limit):
            with parsing(file, hint="delete it, or import again"):
                reject = Reject(**json.loads(line))
            yield reject


def describe_rejects(counts: Mapping[str, int], file: Path) -> str:
    """Writes counts by reason and two examples; "" where there are no rejects.

    Args:
        counts: number of rejects by reason.
        file: path of the ``rejected.jsonl`` that lists all of them.
    """
    if not counts:
        return ""
    examples = tally_rejects(read_rejects(file, _LOOKED_AT)).examples
    return str(RejectTally(Counter(counts), examples))


def shown_reject(reject: Reject) -> str:
    """Writes place, reason and detail of a reject on one line."""
    detail = " ".join(reject.detail.split())
    detail = detail if len(detail) <= _LONGEST else detail[: _LONGEST - 3] + "..."
    place = reject.where if reject.key in reject.where else f"{reject.where}: {reject.key}"
    return printable(f"{place}: {reject.reason}" + (f": {detail}" if detail else ""))


_LONGEST_KEY = 1000  # letters of a key; addresses are keys as well


@dataclass(frozen=True, slots=True)
class Reject:
    """An input that cannot become a sample; one line of rejected.jsonl.

    Attributes:
        where: file of the input, with its line where there is one.
        key: key of the sample; "" where it has none.
        reason: code of the reason, in lower case with dashes, such as "corrupt-image"; rejects are counted by
            it.
        detail: explanation for a reader, in one line.
    """

    where: str
    key: str
    reason: str
    detail: str = ""

    def __post_init__(self) -> None:
        for name in ("where", "key", "reason", "detail"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} of a reject is no text")
        # Whatever an input holds, its reject stays one readable line.
        object.__setattr__(self, "detail", shortened(self.detail))
        for name, text in (("where", self.where), ("key", self.key)):
            if len(text) > _LONGEST_KEY:
                object.__setattr__(self, name, shortened(text))
