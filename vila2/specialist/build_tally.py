"""Counts what a specialist's builder makes: exchanges by kind, and which answers they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from vila2.data.exchanges import exchanges_of
from vila2.data.sample import BoxPart, PointPart, Sample, Turn

_LONGEST = 40  # characters of an answer that is counted by itself
_KEPT = 200  # different answers of a kind that a piece remembers
_SHOWN = 8
_LONG, _OTHERS = "(longer texts)", "(others)"


class BuildTally:
    """Counts samples as they come."""

    def __init__(self) -> None:
        self._samples = 0
        self._answers: dict[str, Counter[str]] = {}

    def add(self, sample: Sample) -> None:
        """Counts a sample's exchanges; a sample without a question counts as of the kind "caption"."""
        self._samples += 1
        found = list(exchanges_of(sample))
        for exchange in found:
            self._answers.setdefault(exchange.kind or "(no kind)", Counter())[_short(exchange.answer)] += 1
        if not found:
            self._answers.setdefault("caption", Counter())[_LONG] += 1

    def to_json(self) -> dict[str, Any]:
        """``samples``, and the answers of every kind with their numbers, the rarest of many put together."""
        kinds = {kind: _most_common(answers, _KEPT) for kind, answers in sorted(self._answers.items())}
        return {"samples": self._samples, "kinds": kinds}


def merge_tallies(tallies: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The tallies of all pieces as one: by kind its number and its most frequent answers."""
    samples, kinds = 0, {}
    for tally in tallies:
        samples += tally["samples"]
        for kind, answers in tally["kinds"].items():
            kinds.setdefault(kind, Counter()).update(answers)
    shown = {
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
    if any(isinstance(part, BoxPart | PointPart) for part in answer.parts):
        return "(coordinates)" if not text else _LONG
    return text if len(text) <= _LONGEST else _LONG
