"""Choosers ask an engine several times about an image, and choose among its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from vila2.caption.asked_captions import annotate_batches
from vila2.data.annotations import Annotation
from vila2.engine.protocol import Engine, GenerationSettings, Request

B = TypeVar("B")

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
    chooser: Chooser | None,
    engine: Engine,
    batches: Iterable[B],
    requests_of: Callable[[B], Sequence[Request]],
    settings: GenerationSettings,
) -> Iterator[tuple[B, list[list[Annotation]]]]:
    """The annotations to keep of each request: the chosen ones, or the only answer where nothing chooses.

    Without a chooser, an engine that streams is given later batches meanwhile. A chooser looks at all answers
    of a batch before it asks again, so it asks batch by batch.

    Args:
        chooser: chooser among several answers; None where an image gets one.
        engine: engine to ask.
        batches: batches, made when they are due.
        requests_of: function that gives the requests of a batch; it is called once for each.
        settings: settings of generation.

    Returns:
        The batches in their order, each with the annotations of its requests.
    """
    if chooser is None:
        for batch, rows in annotate_batches(engine, batches, requests_of, settings):
            yield batch, [[row] for row in rows]
        return
    for batch in batches:
        yield batch, chooser.annotate(engine, requests_of(batch), settings)


def job_of(chooser: Chooser | None) -> dict[str, Any]:
    """What a chooser adds to a job: nothing without one, so that jobs of earlier versions still match."""
    return chooser.job if chooser else {}
