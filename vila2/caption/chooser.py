"""Choosers ask an engine several times about an image, and choose among its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from vila2.caption.asked_captions import annotate
from vila2.data.annotations import Annotation
from vila2.engine.protocol import Engine, GenerationSettings, Request

#: The keys of a job that describe a chooser, for jobs that have none.
NO_CHOOSER: Mapping[str, Any] = {"attempts": None, "choose": None}


class Chooser(Protocol):
    """Asks several times about each image."""

    @property
    def job(self) -> dict[str, Any]:
        """What determines the choice, for the description of a job; JSON-able."""

    def annotate(
        self, engine: Engine, requests: Sequence[Request], settings: GenerationSettings
    ) -> list[list[Annotation]]:
        """The annotations to keep of each request, at least one, in order.

        Raises:
            EngineError: the engine cannot do what is asked.
        """


def annotate_by(
    chooser: Chooser | None, engine: Engine, requests: Sequence[Request], settings: GenerationSettings
) -> list[list[Annotation]]:
    """The annotations to keep of each request: the chosen ones, or the only answer where nothing chooses."""
    if chooser is None:
        return [[row] for row in annotate(engine, requests, settings)]
    return chooser.annotate(engine, requests, settings)


def job_of(chooser: Chooser | None) -> dict[str, Any]:
    """What a chooser adds to a job: nothing without one, so that jobs of earlier versions still match."""
    return chooser.job if chooser else {}
