"""The results of studies, as they stand in results.json."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from vila2.report.results_page import Unit


class StudyCell(TypedDict):
    """One measure of one arm: our value, those of several seeds, and the paper's as text."""

    value: float | None
    low: float | None
    high: float | None
    unit: Unit
    higher_is_better: NotRequired[bool | None]
    seeds: NotRequired[list[float]]
    paper: str


class StudyArm(TypedDict):
    """An arm: tokens it was trained on and why its rounds ended, for each seed, and its cells by measure."""

    label: str
    tokens: list[int]
    stopped: list[str]
    cells: dict[str, StudyCell]


class StudyExpectation(TypedDict):
    """What the paper lets expect, the difference that we found, and whether they agree; all in words."""

    expected: str
    found: str
    answer: str


class StudyResult(TypedDict):
    """One study; ``measures`` has the heading of each measure."""

    name: str
    title: str
    section: str
    finding: str
    note: str
    verdict: str
    sentence: str
    measures: dict[str, str]
    arms: list[StudyArm]
    expectations: list[StudyExpectation]


class StudiesResults(TypedDict):
    """All studies of one size."""

    size: str
    seeds: list[int]
    studies: list[StudyResult]
