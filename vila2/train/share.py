"""What one machine does of a stage: which of the stage's processes it runs, and where they all meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol, Self

from vila2 import errors
from vila2.errors import TrainingError, Vila2Error


@dataclass(frozen=True, slots=True)
class Share:
    """The processes of a stage that one machine runs.

    Attributes:
        first: rank of the first of them.
        count: number of them.
        world: number of processes that train together, over all machines.
        host: address at which they meet.
        port: port of the store there.
        where: words behind a process's number in a message, such as " on node 1 (gpu-b)".
    """

    first: int
    count: int
    world: int
    host: str
    port: int
    where: str = ""


@dataclass(frozen=True, slots=True)
class StageOrders:
    """What every process of a stage is told.

    Attributes:
        folder: folder of the stage.
        settings: settings of the stage, as JSON has them.
        inputs: folder of every input, by name.
    """

    folder: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]


class Weight(IntEnum):
    """How much a failure tells of the cause: where several processes fail, the lowest is told."""

    KILLED = 0
    ON_PURPOSE = 1
    LOST = 2
    OTHER = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a stage cannot go on.

    Attributes:
        weight: how much it tells of the cause.
        error: error that is raised if nothing else tells more.
    """

    weight: Weight
    error: Vila2Error

    @property
    def is_a_cause(self) -> bool:
        """Whether it tells a cause, and not only that others fail because of it."""
        return self.weight is not Weight.OTHER

    def as_json(self) -> dict[str, Any]:
        """The failure as a value of JSON."""
        kind = type(self.error).__name__
        return {
            "weight": int(self.weight),
            "kind": kind,
            "what": self.error.what,
            "hint": self.error.hint,
        }

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Self:
        """Reads what :meth:`as_json` wrote."""
        error = named_error(value["kind"], value["what"], value["hint"])
        return cls(Weight(value["weight"]), error)


def named_error(kind: str, what: str, hint: str) -> Vila2Error:
    """An error of vila2 by the name of its class, as another process told of it."""
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, Vila2Error):
        return found(what, hint=hint)
    return TrainingError(what, hint=hint)


class FailedShare(Exception):
    """A stage cannot go on.

    Args:
        failure: the failure that caused the others.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure.error))
        self.failure = failure


class OtherMachines(Protocol):
    """The machines that train the same stage, seen from one of them.

    Attributes:
        alone: whether there are none.
        grace: seconds that processes get to tell why they failed, once one has failed.
    """

    alone: bool
    grace: float

    def failures(self, *, failed_here: bool) -> list[Failure]:
        """What is known to have failed elsewhere.

        Args:
            failed_here: whether a process of this machine has failed, so that a short silence of another
                machine tells something.
        """


class NoOthers:
    """One machine trains by itself."""

    alone = True
    grace = 3.0

    def failures(self, *, failed_here: bool) -> list[Failure]:
        """Nothing: there is nobody else."""
        return []
