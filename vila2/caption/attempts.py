"""Repeated attempts where an answer has a fault: the first one as the settings say, later ones sampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vila2.caption.asked_captions import annotate
from vila2.data.annotations import Annotation
from vila2.engine.protocol import Engine, GenerationSettings, Request


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often an image is described at most.

    Attributes:
        count: number of attempts, the first one included.
        temperature: temperature of the later attempts.
        fault: function that describes what is wrong with a text; "" where nothing is.
    """

    count: int
    temperature: float
    fault: Callable[[str], str]

    @property
    def job(self) -> dict[str, Any]:
        """What determines the choice; JSON-able."""
        return {"attempts": {"count": self.count, "temperature": self.temperature}}

    def annotate(
        self, engine: Engine, requests: Sequence[Request], settings: GenerationSettings
    ) -> list[list[Annotation]]:
        """The kept attempt of each request; see :class:`vila2.caption.chooser.Chooser`."""
        return [[row] for row in annotate_in_attempts(engine, requests, settings, self)]


def annotate_in_attempts(
    engine: Engine, requests: Sequence[Request], settings: GenerationSettings, attempts: Attempts
) -> list[Annotation]:
    """One annotation for each request, in order: the first usable attempt without a fault.

    Where every attempt has one, the first attempt is kept, with status "contradiction" if it was usable, and
    with its fault as ``detail``. The ``detail`` of a later attempt says which one it was.

    Raises:
        EngineError: the engine cannot do what is asked.
    """
    rows = [_judged(row, attempts) for row in annotate(engine, requests, settings)]
    for number in range(2, attempts.count + 1):
        open_ = [place for place, row in enumerate(rows) if row.status not in ("ok", "error")]
        if not open_:
            break
        sampled = replace(settings, temperature=attempts.temperature, seed=settings.seed + number - 1)
        again = annotate(engine, [requests[place] for place in open_], sampled)
        for place, row in zip(open_, again, strict=True):
            if (judged := _judged(row, attempts)).status == "ok":
                rows[place] = replace(judged, detail=f"attempt {number}")
    return rows


def _judged(row: Annotation, attempts: Attempts) -> Annotation:
    if row.status == "ok" and (fault := attempts.fault(row.text)):
        return replace(row, status="contradiction", detail=fault)
    return row
