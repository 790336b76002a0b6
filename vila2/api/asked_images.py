"""``vila2.ask``: a question about images."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2.data.annotations import Status
from vila2.data.coordinate_text import written_lists
from vila2.data.files import read_file
from vila2.data.images import decode_image
from vila2.data.sample import BoxPart, Part, PlacePart, PointPart, TextPart, assistant
from vila2.engine.marks import mark
from vila2.engine.protocol import (
    Answer,
    Engine,
    GenerationSettings,
    InContextExample,
    Request,
    speaking,
    takes_examples,
)
from vila2.engine.registry import open_engine
from vila2.errors import DataError, EngineError
from vila2.exports.conventions import CONVENTIONS, Convention, choose_convention, convention_of
from vila2.model.loading import locate
from vila2.recipe.parts.engine import EngineSpec
from vila2.recipe.parts.values import DEFAULT_ENGINE
from vila2.report.drawn_picture import draw_places
from vila2.report.preview_page import drawn_place, turn_places

if TYPE_CHECKING:
    from PIL import Image

_LABEL_BEHIND = re.compile(r'\s*,\s*"(?:label|text_content|name)"\s*:\s*("(?:[^"\\]|\\.){0,200}")')


@dataclass(frozen=True, slots=True)
class AnsweredPlace:
    """A box, point or polygon that an answer names.

    Attributes:
        number: number of the place in the answer, from 1; a picture shows it.
        label: text that it belongs to.
        place: the place, in unit coordinates of the original image.
    """

    number: int
    label: str
    place: PlacePart

    def to_json(self) -> dict[str, Any]:
        """Gives kind, label and unit coordinates."""
        match self.place:
            case BoxPart(box):
                kind, where = "box", list[Any](box)
            case PointPart(point):
                kind, where = "point", list(point)
            case _:
                kind, where = "polygon", [list(corner) for corner in self.place.polygon]
        return {"number": self.number, "label": self.label, kind: where}


@dataclass(frozen=True, slots=True)
class ImageAnswer:
    """An answer to a question about images.

    Attributes:
        text: the answer.
        status: mark of the answer, as of a caption.
        detail: reason of the mark.
        tokens: number of its tokens.
        model: name of the model.
        places: places that it names, of the last image.
        unread: lists of numbers in it that are no place in the model's coordinates.
        coordinates: name of the convention that the places were read by.
        image: last image, on which :meth:`draw` draws; None where none was shown.
    """

    text: str
    status: Status
    detail: str
    tokens: int
    model: str
    places: tuple[AnsweredPlace, ...]
    unread: tuple[str, ...]
    coordinates: str
    image: Image.Image | None

    def draw(self) -> Image.Image:
        """Draws the places into a copy of the last image.

        Raises:
            DataError: the question was asked without an image.
        """
        if self.image is None:
            raise DataError("there is no image to draw on", hint="ask about an image")
        size = self.image.size
        return draw_places(
            self.image, [drawn_place(one.number, one.label, one.place, size) for one in self.places]
        )

    def to_json(self) -> dict[str, Any]:
        """Gives everything but the image."""
        told = {"text": self.text, "status": self.status, "detail": self.detail, "tokens": self.tokens}
        places = [place.to_json() for place in self.places]
        rest = {"coordinates": self.coordinates, "places": places, "unread": list(self.unread)}
        return {"model": self.model, **told, **rest}


def ask(
    images: Sequence[Path | str] | Path | str,
    question: str,
    model: Path | str | Engine,
    *,
    examples: Sequence[tuple[Path | str, str]] = (),
    coordinates: str | None = None,
    settings: GenerationSettings | None = None,
    heard: Callable[[str], None] | None = None,
    engine: EngineSpec | str = DEFAULT_ENGINE,
    **loading: Any,
) -> ImageAnswer:
    """Asks a model a question about images, which it sees in this order before the question.

    Args:
        images: files of images, or one; none for a question without an image.
        question: question or instruction.
        model: hub id or folder of the model, or of a run; the name that a server has for it; or an engine
            that is open already.
        examples: files of images, each with the right answer to the same question.
        coordinates: how the model writes boxes and points (:data:`vila2.exports.conventions.CONVENTIONS`); by
            default as its folder or its name says, else unit decimals.
        settings: settings of generation.
        heard: function that is given the pieces of the answer as they come, where the engine tells them.
        engine: engine that runs the model, by name or with options.
        loading: how the model is loaded: ``device``, ``dtype``, ``trust_remote_code``.

    Returns:
        The answer, with the places that it names.

    Raises:
        DataError: an image cannot be read.
        EngineError: the engine takes no examples, or cannot answer.
        ModelError: there is no such model.

    Example:
        >>> vila2.ask("photo.jpg", "Where is the dog?", "runs/mine").draw().save("dog.png")
    """
    files = [images] if isinstance(images, Path | str) else list(images)
    request = Request(
        question,
        tuple(_image_file(file) for file in files),
        question,
        tuple(InContextExample(_image_file(file), text) for file, text in examples),
    )
    if coordinates:
        choose_convention(coordinates, None)  # before a model is loaded
    opened = open_engine(engine, model, **loading) if isinstance(model, Path | str) else model
    if examples and not takes_examples(opened):
        raise EngineError(f"the engine of {opened.name} takes no examples", hint="ask without them")
    answer = _said(opened, request, settings or GenerationSettings(), heard)
    last = decode_image(request.images[-1], where=str(files[-1])) if files else None
    return _read(answer, opened.name, last, _convention(coordinates, model, opened))


def _said(
    engine: Engine, request: Request, settings: GenerationSettings, heard: Callable[[str], None] | None
) -> Answer:
    """What the engine answers; ``heard`` is given it in pieces, or at once by an engine that tells none."""
    if heard and (speaker := speaking(engine)):
        return speaker.speak(request, settings, heard)
    (answer,) = engine.generate([request], settings)
    if heard:
        heard(answer.text)
    return answer


def _read(answer: Answer, model: str, image: Image.Image | None, convention: Convention) -> ImageAnswer:
    """Marks an answer and finds the places in it, which are of ``image``."""
    status, detail = mark(answer)
    parts = convention.read(answer.text, image.size) if image else (TextPart(answer.text),)
    return ImageAnswer(
        answer.text,
        status,
        detail,
        answer.tokens,
        model,
        _places(parts),
        _unread(parts),
        convention.name,
        image,
    )


def _image_file(file: Path | str) -> bytes:
    data = read_file(file)
    decode_image(data, where=str(file))  # fails before a model is loaded
    return data


def _convention(name: str | None, model: Path | str | Engine, engine: Engine) -> Convention:
    if name:
        return choose_convention(name, None)
    scheme = getattr(engine, "coordinates", None)
    called = str(model) if isinstance(model, Path | str) else engine.name
    place = locate(called).path if scheme is not None and isinstance(model, Path | str) else called
    found = convention_of(place)
    if found is None and scheme is not None:
        return Convention("the model's own", scheme.render, scheme.to_parts)
    return found or CONVENTIONS["unit"]


def _places(parts: Sequence[Part]) -> tuple[AnsweredPlace, ...]:
    """The places of an answer, labelled by the text before, or by the key behind where it is JSON."""
    behind = {id(part): _label_behind(after) for part, after in pairwise(parts)}
    return tuple(
        AnsweredPlace(number, behind.get(id(place)) or label, place)
        for _, number, label, place in turn_places([assistant(*parts)] if parts else [])
    )


def _label_behind(part: Part) -> str:
    found = _LABEL_BEHIND.match(part.text) if isinstance(part, TextPart) else None
    return str(json.loads(found[1], strict=False)) if found else ""


def _unread(parts: Sequence[Part]) -> tuple[str, ...]:
    """Lists of several numbers that stayed text."""
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    return tuple(
        text[one.start : one.end] for text in texts for one in written_lists(text) if len(one.numbers) > 1
    )
