"""Tools: specialists that are no model of ours, such as an OCR engine, a detector or an HTTP service.

A tool needs no builder, no recipe and no training. It looks at an image and says what it found, and the
host does the rest: files, resume, failures, the layer, and the merge, where its claims are evidence like
any specialist's. The hook ``vila2_specialists`` returns a :class:`Tool` as it returns a ``Specialist``::

    def open_reader(settings: Settings) -> Annotator:        # called once for a job
        return Reader(settings)                              # Reader.__call__(seen: Seen) -> Parsed

    def __call__(self, seen: Seen) -> Parsed:
        lines = [Claimed(f'"{line.text}"', kind="text", value=line.text, boxes=(line.box,)) for line in ...]
        return reply(("What text is in the image?", lines))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field

from vila2.data.annotations import Status
from vila2.data.boxes import Box
from vila2.data.claims import Claim, ClaimKind
from vila2.data.coordinates import CoordinateScheme
from vila2.data.evidence import Camera
from vila2.data.sample import Part, SpokenPart, TextPart, Turn, assistant, user
from vila2.plugin.contract import API_VERSION, ContractValue, MergePolicy, Name, Parsed, Reference, Text

if TYPE_CHECKING:
    from PIL.Image import Image

_AS_TEXT = CoordinateScheme()


class Tool(ContractValue):
    """A specialist that is a tool, as its plugin describes it.

    Attributes:
        name: Name on the command line, equal to the entry point's name.
        summary: One line for ``vila2 plugins list``.
        api_version: Version of the contract that the plugin was written for.
        annotate: Reference to ``open(settings) -> Annotator``: a function, or the annotator's class.
        settings: Reference to its :class:`ToolSettings` class, or None where it has none.
        claims: Kinds of claims that it makes. An image about which it says nothing of such a kind is one
            where it looked and found nothing.
        questions: Wordings of its question for the merged conversation, the first of them the one that it
            replies to. Empty where it asks different things of different images; they stay as they are.
        verifier: Reference to ``verify(claims, evidence) -> tuple[Claim, ...]``, or None.
        backend: What does the work, with its version, where that is another package or a service, such as
            "rapidocr 3.10.0". The layer records it, and a run annotates again when it changes.
        at_once: Number of images that the annotator is given at the same time, from as many threads; for
            services that answer slowly.
        merge: Policy for its exchanges in merged conversations.
        licence: Terms of the tool or its weights, where they bind the user, or "".
    """

    name: Name
    summary: Text
    api_version: int = API_VERSION
    annotate: Reference
    settings: Reference | None = None
    claims: Annotated[tuple[ClaimKind, ...], Field(min_length=1)]
    questions: tuple[Text, ...] = ()
    verifier: Reference | None = None
    backend: str = ""
    at_once: Annotated[int, Field(ge=1, le=64)] = 1
    merge: MergePolicy = MergePolicy()
    licence: str = ""


class ToolSettings(BaseModel):
    """Base of a tool's settings; every one has a default.

    ``vila2 annotate --set KEY=VALUE`` and ``set`` of a recipe's specialist change them. The host keeps a
    layer as long as the settings, the plugin and the tool stay the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a tool is given: a sample's images, without what is said or known of them.

    Attributes:
        key: Key of the sample, which is unique in its dataset.
        images: Encoded image files (the bytes of a JPEG, PNG, ...); one, as a rule.
        camera: Camera of the image, or None where unknown.
    """

    key: str
    images: tuple[bytes, ...]
    camera: Camera | None = None

    def decoded(self, index: int = 0) -> Image:
        """An image in RGB, turned upright as the camera says.

        Raises:
            DataError: The image is damaged.
        """
        from vila2.data.images import decode_image

        return decode_image(self.images[index], where=self.key)


class Annotator(Protocol):
    """An opened tool. What it raises about one image is that image's status, and the job goes on."""

    def __call__(self, seen: Seen) -> Parsed:
        """What it says of one image: exchanges with claims, best made by :func:`reply`."""
        ...


class Claimed:
    """A piece of an answer that makes a claim; :func:`reply` computes the span.

    Args:
        parts: Text, boxes and points of the piece, in order; a string becomes a text part.
        kind, subject, predicate, object, value, boxes: Fields of the :class:`~vila2.plugin.Claim`.
    """

    def __init__(
        self,
        *parts: str | Part,
        kind: ClaimKind,
        subject: str = "",
        predicate: str = "",
        object: str = "",
        value: str = "",
        boxes: tuple[Box, ...] = (),
    ) -> None:
        self.parts = parts
        self.claim = Claim(
            kind,
            0,
            0,
            "unverified",
            subject=subject,
            predicate=predicate,
            object=object,
            value=value,
            boxes=boxes,
        )


def reply(
    *exchanges: tuple[str, Sequence[str | Part | Claimed]], status: Status = "ok", detail: str = ""
) -> Parsed:
    """A tool's result of questions and answers.

    Args:
        exchanges: A question and the pieces of its answer each.
        status: "ok", or "empty" where the answers say that there is nothing of that kind.
        detail: One line for a reader.
    """
    turns: list[Turn] = []
    claims: list[Claim] = []
    length = 0
    for question, pieces in exchanges:
        parts: list[str | Part] = []
        length += bool(turns)  # the line break between two answers
        for piece in pieces:
            own = piece.parts if isinstance(piece, Claimed) else (piece,)
            end = length + len(_text(own))
            if isinstance(piece, Claimed):
                claims.append(replace(piece.claim, start=length, end=end))
            parts += own
            length = end
        turns += [user(question), assistant(*_joined(parts))]
    return Parsed(tuple(turns), tuple(claims), status, detail)


def answers_text(turns: Sequence[Turn]) -> str:
    """The text of a tool's answers, in which the spans of its claims lie.

    Answers are joined by line breaks, and coordinates stand in them as the paper writes them.
    """
    return "\n".join(_text(turn.parts) for turn in turns if turn.role == "assistant")


def _joined(parts: Sequence[str | Part]) -> Iterator[str | Part]:
    """Neighboring strings as one."""
    for of_text, run in groupby(parts, lambda part: isinstance(part, str)):
        pieces = list(run)
        yield from ["".join(map(str, pieces))] if of_text else pieces


def _text(parts: Sequence[str | Part]) -> str:
    spoken = [TextPart(part) if isinstance(part, str) else part for part in parts]
    return _AS_TEXT.to_text([part for part in spoken if isinstance(part, SpokenPart)])
