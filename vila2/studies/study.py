"""What a study is: arms that differ in a few settings, and what the paper lets one expect of their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Arm:
    """One model of a study.

    Attributes:
        name: short; the same name in two studies need not be the same model.
        label: for a reader.
        changes: settings of the base recipe that are different, by their place, as in ``stages.sft.epochs``; what
            is not there is added, None takes it out; see :func:`changed`.
        after: the stage whose model is measured, "parts" for the untrained start; by default the last stage.
        specialists: plugins that take part; of a whole cycle only.
        control: of :mod:`vila2.cycle.controls.catalogue`, applied to all this; of a whole cycle only.
    """

    name: str
    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    after: str | None = None
    specialists: tuple[str, ...] = ()
    control: str | None = None


class Cell(NamedTuple):
    """One number of a study's table: an arm, and a measure as ``BENCHMARK`` (all its kinds together) or
    ``BENCHMARK/NAME``."""

    arm: str
    measure: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the paper finds of two cells.

    Attributes:
        low, high: the cell expected to be lower and the one expected to be higher; of two expected to be
            equal, any order.
        relation: "above": high is above low; "equal": they differ by less than ``margin``.
        margin: in the measure's own unit (0.03 are 3 points of a share).
    """

    low: Cell
    high: Cell
    relation: Literal["above", "equal"] = "above"
    margin: float = 0.03


@dataclass(frozen=True, slots=True)
class Study:
    """A study of the paper.

    Attributes:
        name: as ``vila2 reproduce NAME`` knows it.
        title: for a reader.
        section: of the paper, with its table or figure.
        finding: of the paper, in one sentence.
        arms: what is trained.
        measures: the columns of the table, as in :class:`Cell`, with a heading each.
        expectations: of which the verdict is computed.
        paper: the figures that the text of the paper gives; all other cells are not in our source.
        note: what differs from the paper, besides the size.
        whole_cycle: its arms are whole cycles, from :mod:`vila2.studies.cycle_base`, of which the outcome is
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
        """The specialists that take part."""
        return {name for arm in self.arms for name in arm.specialists}

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)
