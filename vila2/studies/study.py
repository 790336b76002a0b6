"""A study: arms that differ in a few settings, and what the paper lets one expect of their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Arm:
    """One model of a study.

    Attributes:
        name: short name; the same name in two studies need not be the same model.
        label: name for a reader.
        changes: settings that differ from the base recipe, by their place, such as ``stages.sft.epochs``; a
            setting that is not there is added, and None removes one; see
            :func:`vila2.recipe.changed.changed`.
        after: name of the stage whose model is measured, "parts" for the untrained start; by default the last
            stage.
        specialists: names of the plugins that take part; only in a whole cycle.
        control: name of the control (:mod:`vila2.cycle.controls.catalog`) that is applied to all this; only
            in a whole cycle.
    """

    name: str
    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    after: str | None = None
    specialists: tuple[str, ...] = ()
    control: str | None = None


class Cell(NamedTuple):
    """One number of a study's table.

    Attributes:
        arm: name of the arm.
        measure: ``BENCHMARK/NAME``, or ``BENCHMARK`` for all its measures together; ``layer/words`` is the
            number of words in the captions that the arm was trained on.
    """

    arm: str
    measure: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the paper finds of two cells.

    Attributes:
        low: cell expected to be lower.
        high: cell expected to be higher; for two expected to be equal, the order does not matter.
        relation: "above" where high is above low; "equal" where they differ by less than ``margin``.
        margin: largest difference of two that are equal, in the unit of the measure (0.03 is 3 points of a
            share).
    """

    low: Cell
    high: Cell
    relation: Literal["above", "equal"] = "above"
    margin: float = 0.03


@dataclass(frozen=True, slots=True)
class Study:
    """A study of the paper.

    Attributes:
        name: name in ``vila2 reproduce NAME``.
        title: title for a reader.
        section: section of the paper, with its table or figure.
        finding: finding of the paper, in one sentence.
        arms: arms, the rows of the table.
        measures: headings of the table's columns, by measure as in :class:`Cell`.
        expectations: expectations that the verdict is computed from.
        paper: figures that the text of the paper gives; all other cells are not in our source.
        note: differences from the paper, besides the size.
        whole_cycle: whether the arms are whole cycles, from :mod:`vila2.studies.cycle_base`, whose outcome is
            measured; else they are VILA_0s, from :mod:`vila2.studies.base`.
    """

    name: str
    title: str
    section: str
    finding: str
    arms: tuple[Arm, ...]
    measures: Mapping[str, str]
    expectations: tuple[Expectation, ...]
    paper: Mapping[Cell, str] = field(default_factory=dict)
    note: str = ""
    whole_cycle: bool = False

    def __post_init__(self) -> None:
        arms = {arm.name for arm in self.arms}
        used = {cell for one in self.expectations for cell in (one.low, one.high)} | set(self.paper)
        if strange := [cell for cell in used if cell.arm not in arms or cell.measure not in self.measures]:
            raise ValueError(f"study {self.name!r} has no cell {strange[0]}")

    @property
    def plugins(self) -> set[str]:
        """Names of the specialists that take part."""
        return {name for arm in self.arms for name in arm.specialists}

    def arm(self, name: str) -> Arm:
        """Finds an arm by its name."""
        return next(arm for arm in self.arms if arm.name == name)
