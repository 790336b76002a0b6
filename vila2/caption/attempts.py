"""Asking again where an answer will not do: the first attempt as the settings say, later ones sampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vila2.caption.asked_captions import annotate
from vila2.data.annotations import Annotation
from vila2.engine.protocol import Engine, GenerationSettings, Request


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often an image is described, at the most.

    Attributes:
        count: attempts, the first one included.
        temperature: of the later ones.
        fault: what is wrong with a text, "" where nothing is.
    """

    count: int
    temperature: float
    fault: Callable[[str], str]


def annotate_in_attempts(
    engine: Engine, requests: Sequence[Request], settings: GenerationSettings, attempts: Attempts
) -> list[Annotation]:
    """One annotation for each request, in order: the first usable attempt without a fault.

    Where none is without, the first attempt stays to be read, with status "contradiction" if it was usable, and what
    is wrong with it as ``detail``. ``detail`` of a later attempt tells which one it was.

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
