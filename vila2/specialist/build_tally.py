"""Counts what a specialist's builder makes: exchanges by kind, and their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypedDict

from vila2.data.exchanges import exchanges_of
from vila2.data.sample import PlacePart, Sample, Turn

#: Characters of the longest answer that is counted by itself.
_LONGEST = 40
#: Number of different answers of a kind that a piece remembers.
_KEPT = 200
#: Number of different answers of a kind that are shown.
_SHOWN = 8
_LONG, _OTHERS = "(longer texts)", "(others)"


class PieceTally(TypedDict):
    """Counts of one piece of the build: samples, and answers by kind of exchange."""

    samples: int
    kinds: dict[str, dict[str, int]]


class KindCount(TypedDict):
    """Number of exchanges of a kind, and its most frequent answers with their numbers."""

    count: int
    answers: dict[str, int]


class WholeTally(TypedDict):
    """Counts of a whole build: samples, and exchanges by kind."""

    samples: int
    kinds: dict[str, KindCount]


class BuildTally:
    """Counts the samples of a piece as they come."""

    def __init__(self) -> None:
        self._samples = 0
        self._answers: dict[str, Counter[str]] = {}

    def add(self, sample: Sample) -> None:
        """Counts a sample's exchanges. A sample without a question counts as one of kind "caption"."""
        self._samples += 1
        found = list(exchanges_of(sample))
        for exchange in found:
            self._answers.setdefault(exchange.kind or "(no kind)", Counter())[_short(exchange.answer)] += 1
        if not found:
            self._answers.setdefault("caption", Counter())[_LONG] += 1

    def to_json(self) -> PieceTally:
        """Returns the counts. Of many different answers, the rarest are put together."""
        kinds = {kind: _most_common(answers, _KEPT) for kind, answers in sorted(self._answers.items())}
        return {"samples": self._samples, "kinds": kinds}


def merge_tallies(tallies: Iterable[PieceTally]) -> WholeTally:
    """Adds up the counts of all pieces."""
    samples, kinds = 0, dict[str, Counter[str]]()
    for tally in tallies:
        samples += tally["samples"]
        for kind, answers in tally["kinds"].items():
            kinds.setdefault(kind, Counter()).update(answers)
    shown: dict[str, KindCount] = {
        kind: {"count": sum(answers.values()), "answers": _most_common(answers, _SHOWN)}
        for kind, answers in sorted(kinds.items())
    }
    return {"samples": samples, "kinds": shown}


def _most_common(answers: Counter[str], count: int) -> dict[str, int]:
    own = Counter({answer: number for answer, number in answers.items() if answer != _OTHERS})
    kept = dict(sorted(own.items(), key=lambda item: (-item[1], item[0]))[:count])
    rest = sum(answers.values()) - sum(kept.values())
    return kept | ({_OTHERS: rest} if rest else {})


def _short(answer: Turn) -> str:
    text = " ".join(answer.text.split()).lower().rstrip(".")
    if any(isinstance(part, PlacePart) for part in answer.parts):
        return "(coordinates)" if not text else _LONG
    return text if len(text) <= _LONGEST else _LONG
