"""The contents of the ``results.json`` of studies: the papers' findings beside our numbers."""

from __future__ import annotations

from typing import TypedDict

from vila2.report.results_page import Unit


class SeedValues(TypedDict, total=False):
    """The values that a mean over seeds is made of.

    Attributes:
        seeds: value of each seed; only where there are several, and all of them were measured.
    """

    seeds: list[float]


class CellResult(SeedValues):
    """One number of a table.

    Attributes:
        value, low, high: measure with its 95% interval, over seeds where there are several; None where there
            was nothing to measure.
        count: number of items, of all seeds together.
        unit, higher_is_better: as in :class:`vila2.evaluate.measures.items.Items`.
        paper: figure of the paper.
    """

    value: float | None
    low: float | None
    high: float | None
    count: int
    unit: Unit
    higher_is_better: bool | None
    paper: str


class ArmResult(TypedDict):
    """A row of a table.

    Attributes:
        name, label: as in :class:`vila2.studies.study.Arm`.
        tokens: number of tokens that the model was trained on, for each seed; 0 where it is not known.
        stopped: reason why the rounds ended, for each seed; empty where there is none.
        cells: numbers by measure.
    """

    name: str
    label: str
    tokens: list[int]
    stopped: list[str]
    cells: dict[str, CellResult]


class ExpectationResult(TypedDict):
    """An expectation of the paper, and what our numbers say of it.

    Attributes:
        expected: expectation in words.
        found: difference in words.
        answer: whether our numbers agree.
        unit: unit of the difference.
        difference, low, high: difference with its 95% interval; None where there was nothing to measure.
    """

    expected: str
    found: str
    answer: str
    unit: Unit
    difference: float | None
    low: float | None
    high: float | None


class StudyResult(TypedDict):
    """A study's table and verdict.

    Attributes:
        name, title, section, finding, note: as in :class:`vila2.studies.study.Study`.
        verdict: whether our numbers agree with the finding.
        sentence: verdict in one sentence.
        measures: headings of the columns, by measure.
        arms: rows of the table.
        expectations: expectations that the verdict is made of.
    """

    name: str
    title: str
    section: str
    finding: str
    note: str
    verdict: str
    sentence: str
    measures: dict[str, str]
    arms: list[ArmResult]
    expectations: list[ExpectationResult]


class StudiesResults(TypedDict):
    """The whole file.

    Attributes:
        vila2_version: version of vila2.
        size: name of the size of all arms.
        seeds: seeds of everything random.
        studies: results of the studies.
    """

    vila2_version: str
    size: str
    seeds: list[int]
    studies: list[StudyResult]
