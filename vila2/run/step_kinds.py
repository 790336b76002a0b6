"""Kinds of steps: what a step does, declared under a name that stays when the code moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from vila2.progress import Progress
from vila2.recipe.parts.values import Part

S = TypeVar("S", bound=Part)

#: Folder or file of every input of a step, by the input's name.
Inputs = Mapping[str, Path]
#: A function of the step's folder, settings, inputs and progress. It may be killed at any moment, and is then
#: called again with the same folder. It returns the results for ``done.json``.
Work = Callable[[Path, S, Inputs, Progress], Mapping[str, Any] | None]
#: Where the work of a step is done in a run on a cluster. "here": in the process of the run. "worker": in one
#: worker. "workers": in several, each of which writes a part of a layer about the input "data"; the work
#: takes the part as ``part=``. "trainer": in one that holds the GPUs of all training processes.
StepPlace = Literal["here", "worker", "workers", "trainer"]


@dataclass(frozen=True)
class StepKind(Generic[S]):
    """What a step does.

    A step's digest holds the kind's name and version, never the place of the code. Files may move and
    functions may be renamed: finished steps stay finished.

    Attributes:
        name: name of the kind. It never changes.
        settings: type of the settings.
        work: function that does the work.
        version: version of the work. After a higher one, finished steps of this kind are done again.
        digested_as: name of the kind in digests; another than ``name`` for kinds that are older than this
            class.
        place: where the work is done in a run on a cluster.

    Example:
        >>> class Shout(Part):
        ...     text: str
        >>> @step_kind("shout", Shout)
        ... def shout(folder, settings, inputs, progress):
        ...     (folder / "loud").write_text(settings.text.upper())
        >>> shout.name
        'shout'
    """

    name: str
    settings: type[S]
    work: Work[S]
    version: int = 1
    digested_as: str = ""
    place: StepPlace = "here"

    def __call__(self, folder: Path, settings: S, inputs: Inputs, progress: Progress) -> dict[str, Any]:
        """Does the work.

        Args:
            folder: folder of the output; what an earlier, killed call left there is used.
            settings: what the output depends on, besides the inputs.
            inputs: folder or file of every input, by name.
            progress: what the work reports to.

        Returns:
            Results worth keeping in ``done.json``.
        """
        return dict(self.work(folder, settings, inputs, progress) or {})


def step_kind(
    name: str,
    settings: type[S],
    *,
    version: int = 1,
    digested_as: str = "",
    place: StepPlace = "here",
) -> Callable[[Work[S]], StepKind[S]]:
    """Declares a function as a kind of step.

    Args:
        name: name of the kind.
        settings: type of the settings.
        version: version of the work.
        digested_as: name of the kind in digests, where runs on users' disks have another than ``name``.
        place: where the work is done in a run on a cluster.
    """

    def declare(work: Work[S]) -> StepKind[S]:
        return StepKind(name, settings, work, version, digested_as or name, place)

    return declare


class Executor(Protocol):
    """Does the work of steps, in this process or elsewhere."""

    def __call__(
        self, kind: StepKind[S], folder: Path, settings: S, inputs: Inputs, progress: Progress
    ) -> Mapping[str, Any]:
        """Does the work of a step; see :meth:`StepKind.__call__`."""


def do_here(
    kind: StepKind[S], folder: Path, settings: S, inputs: Inputs, progress: Progress
) -> Mapping[str, Any]:
    """Does the work of a step in this process."""
    return kind(folder, settings, inputs, progress)
