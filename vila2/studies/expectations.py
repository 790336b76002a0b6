"""Whether our numbers agree with a finding of the paper, computed from paired intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vila2.errors import DataError
from vila2.evaluate.measures.intervals import Interval, over_seeds, paired_ratio_bootstrap
from vila2.evaluate.measures.items import Items, Unit
from vila2.report.numbers import places, written_change, written_interval
from vila2.studies.study import Cell, Expectation, Study

Answer = Literal["agrees", "disagrees", "cannot be seen at this size"]
UNSEEN: Answer = "cannot be seen at this size"
#: Smallest number of items; an interval resampled from fewer is too narrow to settle anything.
FEWEST_ITEMS = 30


@dataclass(frozen=True, slots=True)
class ExpectationOutcome:
    """What our numbers say of one expectation.

    Attributes:
        expectation: expectation of the paper.
        answer: whether our numbers agree with it.
        difference: difference between the cell expected to be higher and the lower one, with its paired 95%
            interval; None where one of the two had nothing to measure.
        unit: unit of the measure.
    """

    expectation: Expectation
    answer: Answer
    difference: Interval | None
    unit: Unit


def judge(expectation: Expectation, difference: Interval) -> Answer:
    """Judges an expectation by the interval of the difference between its high and its low cell.

    The relation "above" agrees where the whole interval is above zero, and disagrees where it is below. The
    relation "equal" agrees where the whole interval is within the margin, and disagrees where it is outside.
    Everything else cannot be seen.
    """
    _, low, high = difference
    if expectation.relation == "above":
        return "agrees" if low > 0 else "disagrees" if high < 0 else UNSEEN
    margin = expectation.margin
    if -margin < low and high < margin:
        return "agrees"
    return "disagrees" if low > margin or high < -margin else UNSEEN


def outcomes(study: Study, items: Mapping[Cell, Sequence[Items]], *, seed: int) -> list[ExpectationOutcome]:
    """Judges each expectation of a study.

    Args:
        study: study with its expectations.
        items: item scores of every cell that the expectations name, for every seed of training. For one seed,
            the two cells of an expectation have the same items.
        seed: seed of the bootstrap.

    Raises:
        DataError: the two cells of an expectation were measured on different items.
    """
    found = []
    for expectation in study.expectations:
        pairs = list(zip(items[expectation.low], items[expectation.high], strict=True))
        if any(low.keys != high.keys for low, high in pairs):
            raise DataError(
                f"study {study.name!r}: {expectation.low} and {expectation.high} have different items",
                hint="measure both on the same data",
            )
        difference = _difference(pairs, seed)
        unit = pairs[0][1].unit
        tells = any(_tells(*pair) for pair in pairs)
        answer = judge(expectation, difference) if difference and tells else UNSEEN
        found.append(ExpectationOutcome(expectation, answer, difference, unit))
    return found


def _difference(pairs: Sequence[tuple[Items, Items]], seed: int) -> Interval | None:
    """High cell minus low cell: with the interval over items for one seed, and over seeds for several."""
    if any(one.value is None for pair in pairs for one in pair):
        return None
    each = [
        paired_ratio_bootstrap(
            (low.numerators, low.denominators), (high.numerators, high.denominators), seed=seed
        )
        for low, high in pairs
    ]
    return each[0] if len(each) == 1 else over_seeds([one.value for one in each])


def _tells(low: Items, high: Items) -> bool:
    """Whether a bootstrap of these items means anything: two arms that fail at everything are not alike."""
    return len(low.keys) >= FEWEST_ITEMS and (any(low.numerators) or any(high.numerators))


def overall(answers: Sequence[Answer]) -> str:
    """Sums up the answers of a study; it agrees, perhaps in part, where some agree and none disagrees."""
    seen = set(answers)
    if "disagrees" in seen:
        return "disagrees in part" if "agrees" in seen else "disagrees"
    if "agrees" in seen:
        return "agrees" if seen == {"agrees"} else "agrees in part"
    return UNSEEN


def sentence(study: Study, found: Sequence[ExpectationOutcome]) -> str:
    """Writes one sentence about a study: how many expectations hold, and each that does not hold."""
    word = overall([outcome.answer for outcome in found])
    opening = f"{word[0].upper()}{word[1:]}"
    if word == UNSEEN:
        return f"{opening}: none of {len(found)} expectations is settled."
    held = sum(outcome.answer == "agrees" for outcome in found)
    against = [_told(study, outcome) for outcome in found if outcome.answer == "disagrees"]
    parts = [f"{held} of {len(found)} expectations as found"]
    if unseen := len(found) - held - len(against):
        parts.append(f"{unseen} {UNSEEN}")
    if against:
        parts.append(f"not as found: {', '.join(against)}")
    return f"{opening}: {'; '.join(parts)}."


def told_expectation(study: Study, expectation: Expectation) -> str:
    """Writes an expectation for a reader: what is compared, in which measure."""
    low, high = expectation.low, expectation.high
    relation = "above" if expectation.relation == "above" else "like"
    if low.measure == high.measure:
        labels = f"“{study.arm(high.arm).label}” {relation} “{study.arm(low.arm).label}”"
        return f"{labels} in {study.measures[low.measure]}"
    if low.arm == high.arm:
        label = study.arm(low.arm).label
        return f"{study.measures[high.measure]} {relation} {study.measures[low.measure]} for “{label}”"
    return (
        f"{study.measures[high.measure]} of “{study.arm(high.arm).label}” {relation} "
        f"{study.measures[low.measure]} of “{study.arm(low.arm).label}”"
    )


def _told(study: Study, outcome: ExpectationOutcome) -> str:
    return f"{told_expectation(study, outcome.expectation)} ({told_difference(outcome)})"


def told_difference(outcome: ExpectationOutcome) -> str:
    """Writes the difference with its interval, in points where the measure is a share."""
    if outcome.difference is None:
        return "nothing to measure"
    value, low, high = outcome.difference
    decimals = places(outcome.unit, [value, low, high])
    points = " points" if outcome.unit == "share" else ""
    bounds = written_interval(low, high, outcome.unit, decimals)
    return f"{written_change(value, outcome.unit, decimals)}{points}, {bounds}"
