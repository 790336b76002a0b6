"""Item scores: what every measure is made of, so that intervals and paired changes are computed one way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypedDict

from vila2.data.atomic import write_json_atomic
from vila2.evaluate.measures.intervals import ratio_bootstrap

#: Name of the file with the item scores, in the folder of a step that scores.
ITEMS_FILE = "items.json"

#: Unit of a measure; reports write a share as percent and a count per image.
Unit = Literal["share", "words", "score", "count"]


class MeasureResult(TypedDict):
    """A measure as ``results.json`` and reports hold it.

    Attributes:
        benchmark: name of the benchmark.
        name: name of the measure.
        value: the measure; None where there was nothing to measure, as are ``low`` and ``high``.
        low, high: ends of its 95% interval.
        count: number of items.
        unit, higher_is_better, baseline: the same fields of :class:`Items`.
    """

    benchmark: str
    name: str
    value: float | None
    low: float | None
    high: float | None
    count: int
    unit: Unit
    higher_is_better: bool | None
    baseline: float | None


@dataclass(frozen=True, slots=True)
class Items:
    """The item scores of a measure, which is sum(numerators) / sum(denominators).

    Attributes:
        keys: one key per item; two models can be compared pair by pair where their keys are the same.
        numerators: one value per item.
        denominators: one value per item; 0 where the item has nothing that the measure is about.
        unit: unit of the measure.
        higher_is_better: whether more is better; None where neither direction is good in itself (length).
        baseline: the best score of an answer that does not look at the image (a fixed answer, or chance);
            None where there is no such answer.
    """

    keys: list[str]
    numerators: list[float]
    denominators: list[float]
    unit: Unit = "share"
    higher_is_better: bool | None = True
    baseline: float | None = None

    @classmethod
    def of_means(
        cls,
        keys: Sequence[str],
        values: Sequence[float],
        unit: Unit = "share",
        higher_is_better: bool | None = True,
        baseline: float | None = None,
    ) -> Items:
        """Makes a plain mean over items."""
        return cls(
            list(keys), [float(v) for v in values], [1.0] * len(values), unit, higher_is_better, baseline
        )

    @classmethod
    def of_ratios(
        cls,
        pairs: Iterable[tuple[str, float, float]],
        higher_is_better: bool | None = True,
        baseline: float | None = None,
    ) -> Items:
        """Makes a share from (key, numerator, denominator) of each statement.

        Statements with one key are one item: those about one image are not independent, so they are resampled
        together.
        """
        tops: dict[str, float] = {}
        bottoms: dict[str, float] = {}
        for key, top, bottom in pairs:
            tops[key] = tops.get(key, 0) + top
            bottoms[key] = bottoms.get(key, 0) + bottom
        return cls(
            list(tops),
            [float(top) for top in tops.values()],
            [float(bottom) for bottom in bottoms.values()],
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
    """Writes item scores, by measure, into the folder of a step."""
    write_json_atomic(folder / ITEMS_FILE, {name: asdict(item) for name, item in items.items()})


def read_items(folder: Path) -> dict[str, Items]:
    """Reads what :func:`write_items` wrote."""
    stored = json.loads((folder / ITEMS_FILE).read_text(encoding="utf-8"))
    return {name: Items(**item) for name, item in stored.items()}


def measure_row(benchmark: str, name: str, item: Items, *, seed: int) -> MeasureResult:
    """Makes a measure's row for reports, with its 95% interval.

    Args:
        benchmark: name of the benchmark.
        name: name of the measure.
        item: item scores of the measure.
        seed: seed of the bootstrap.
    """
    found = ratio_bootstrap(item.numerators, item.denominators, seed=seed) if sum(item.denominators) else None
    value, low, high = found or (None, None, None)
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
    """Computes the share of the commonest answer, which always giving it scores; None without answers."""
    return max(Counter(answers).values()) / len(answers) if answers else None
