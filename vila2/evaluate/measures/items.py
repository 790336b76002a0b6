"""Item scores: what a measure is made of, so that every measure gets its interval, and its paired change, the same way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vila2.data.atomic import write_json_atomic
from vila2.evaluate.measures.intervals import ratio_bootstrap

#: In the folder of a step that scores.
ITEMS_FILE = "items.json"


@dataclass(frozen=True, slots=True)
class Items:
    """A measure's item scores: the measure is sum(numerators) / sum(denominators).

    Attributes:
        keys: one per item; the same items of two models can be compared pair by pair.
        unit: "share", "words", "score" or "count".
        higher_is_better: None where neither direction is good in itself (length).
        baseline: what the best answer scores that does not look at the image (a fixed answer, or chance);
            None where there is no such thing.
    """

    keys: list[str]
    numerators: list[float]
    denominators: list[float]
    unit: str = "share"
    higher_is_better: bool | None = True
    baseline: float | None = None

    @classmethod
    def of_means(
        cls,
        keys: Sequence[str],
        values: Sequence[float],
        unit: str = "share",
        higher_is_better: bool | None = True,
        baseline: float | None = None,
    ) -> Items:
        """A plain mean over items."""
        return cls(
            list(keys), [float(v) for v in values], [1.0] * len(values), unit, higher_is_better, baseline
        )

    @classmethod
    def of_ratios(
        cls,
        pairs: Sequence[tuple[str, float, float]],
        higher_is_better: bool | None = True,
        baseline: float | None = None,
    ) -> Items:
        """A share of everything, from (key, numerator, denominator); those of one key, an image, are one item.

        Statements about one image are not independent, so they are resampled together.
        """
        tops: Counter[str] = Counter()
        bottoms: Counter[str] = Counter()
        for key, top, bottom in pairs:
            tops[key] += top  # type: ignore[assignment]
            bottoms[key] += bottom  # type: ignore[assignment]
        keys = list(bottoms)
        return cls(
            keys,
            [float(tops[key]) for key in keys],
            [float(bottoms[key]) for key in keys],
            "share",
            higher_is_better,
            baseline,
        )

    @property
    def value(self) -> float | None:
        """The measure; None where there was nothing to measure."""
        total = sum(self.denominators)
        return sum(self.numerators) / total if total else None


def write_items(folder: Path, items: Mapping[str, Items]) -> None:
    """Keeps item scores in a step's folder, by measure."""
    write_json_atomic(folder / ITEMS_FILE, {name: asdict(item) for name, item in items.items()})


def read_items(folder: Path) -> dict[str, Items]:
    """What :func:`write_items` kept."""
    stored = json.loads((folder / ITEMS_FILE).read_text(encoding="utf-8"))
    return {name: Items(**item) for name, item in stored.items()}


def measure_row(benchmark: str, name: str, item: Items, *, seed: int) -> dict[str, Any]:
    """A measure as a report shows it; its value is None where nothing was there to measure."""
    found = (
        ratio_bootstrap(item.numerators, item.denominators, seed=seed)
        if sum(item.denominators)
        else (None,) * 3
    )
    value, low, high = found
    return {
        "benchmark": benchmark,
        "name": name,
        "value": value,
        "low": low,
        "high": high,
        "count": len(item.keys),
        "unit": item.unit,
        "higher_is_better": item.higher_is_better,
        "baseline": item.baseline,
    }


def largest_share(answers: Sequence[str]) -> float | None:
    """The share of the commonest answer: what always giving it scores; None of no answers."""
    counts: Mapping[str, int] = Counter(answers)
    return max(counts.values()) / len(answers) if answers else None
