"""The preview as a page: images with their boxes, points and polygons, turns, layers, and tokens."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vila2.data.sample import BoxPart, ImagePart, Part, PlacePart, PointPart, PolygonPart, TextPart, Turn
from vila2.report.page import for_html
from vila2.report.preview import (
    Preview,
    TokenRun,
    meta_line,
    part_text,
    token_counts,
    turn_origin,
    turn_text,
)
from vila2.report.templates import filled

if TYPE_CHECKING:
    from PIL import Image

#: Number of colors that the style sheet has for places.
STYLES = 5
_LABEL_LENGTH = 40  # characters


@dataclass(frozen=True, slots=True)
class DrawnPlace:
    """A place on an image, in pixels; ``label`` is the text that it belongs to.

    Attributes:
        number: number of the place in its sample, from 1.
        text: unit coordinates.
        style: number of its color.
        shape: "box", "point" or "polygon".
        corners: corners of a polygon, as SVG writes them.
        x, y, width, height: upper left corner and size of a box, the point, or a polygon's first corner.
        label_x, label_y: where the number is written.
        origin: layer that it is from, where a page tells layers apart.
    """

    number: int
    label: str
    text: str
    style: int
    shape: str
    corners: str
    x: float
    y: float
    width: float
    height: float
    label_x: float
    label_y: float
    origin: str = ""


@dataclass(frozen=True, slots=True)
class DrawnImage:
    """An image by its address or as a data URI, its size in pixels, and what is drawn onto it.

    Attributes:
        remark: how the image is shown, such as "as the model gets it".
        told: text alternative of what is drawn.
        letters: size of the numbers beside places, in pixels of the image.
        radius: radius of a point, in pixels of the image.
    """

    uri: str
    width: int
    height: int
    remark: str
    places: tuple[DrawnPlace, ...] = ()

    @property
    def told(self) -> str:
        return "; ".join(f"{place.number}: {place.label} {place.text}" for place in self.places)

    @property
    def letters(self) -> float:
        return round(max(self.width, self.height) / 16, 1)

    @property
    def radius(self) -> float:
        return round(max(self.width, self.height) / 50, 1)


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """A turn in words."""

    role: str
    text: str
    origin: str
    trained: bool


@dataclass(frozen=True, slots=True)
class ShownRow:
    """An annotation of a layer that no turn shows."""

    layer: str
    text: str
    status: str
    detail: str


@dataclass(frozen=True, slots=True)
class SampleCard:
    """One sample; ``tokens`` and ``counted`` are None where no model was given."""

    key: str
    images: tuple[DrawnImage, ...]
    turns: tuple[ShownTurn, ...]
    rows: tuple[ShownRow, ...]
    problem: str
    runs: tuple[TokenRun, ...]
    tokens: int | None
    counted: int | None
    meta: str

    @property
    def places(self) -> tuple[DrawnPlace, ...]:
        """All places of the sample, in the order of the conversation."""
        return tuple(place for image in self.images for place in image.places)


def page(title: str, note: str, previews: Sequence[Preview]) -> str:
    """The samples as one self-contained HTML page, on which what the loss counts is marked."""
    cards = [_card(preview) for preview in previews]
    has_places = any(card.places for card in cards)
    return for_html(filled("preview.jinja", title=title, note=note, cards=cards, has_places=has_places))


def _card(preview: Preview) -> SampleCard:
    sample = preview.sample
    tokens, counted = token_counts(preview.runs) if preview.runs is not None else (None, None)
    return SampleCard(
        sample.key,
        tuple(_images(preview)),
        tuple(
            ShownTurn(turn.role, turn_text(turn), turn_origin(turn), turn.trained) for turn in sample.turns
        ),
        tuple(ShownRow(layer, row.text, row.status, row.detail) for layer, row in preview.rows),
        preview.problem,
        preview.runs or (),
        tokens,
        counted,
        meta_line(sample) if sample.meta else "",
    )


def _images(preview: Preview) -> Iterator[DrawnImage]:
    """Every image; one with places is shown as stored, since a processor may have cut or padded it."""
    stored = preview.stored or preview.images
    places = list(turn_places(preview.sample.turns))
    for index, image in enumerate(preview.images):
        own = [place for place in places if place[0] == index and index < len(stored)]
        as_seen = "" if image is stored[index] else "as the model gets it"
        if own:
            size = stored[index].size
            drawn = tuple(drawn_place(number, label, place, size) for _, number, label, place in own)
            yield DrawnImage(_data_uri(stored[index]), *size, "", drawn)
        if as_seen or not own:
            yield DrawnImage(_data_uri(image), *image.size, as_seen)


def turn_places(turns: Iterable[Turn]) -> Iterator[tuple[int, int, str, PlacePart]]:
    """Image, number and label of every place, and the place.

    A place belongs to the image that was shown last before it.
    """
    image, number = 0, 0
    for turn in turns:
        for at, part in enumerate(turn.parts):
            if isinstance(part, ImagePart):
                image = part.index
            elif isinstance(part, PlacePart):
                number += 1
                yield image, number, _label(turn.parts[:at]) or turn.role, part


def _label(before: Sequence[Part]) -> str:
    """The end of the text before a place."""
    for part in reversed(before):
        if isinstance(part, TextPart) and (words := part.text.strip(" \n:,;.-")):
            return words if len(words) <= _LABEL_LENGTH else f"… {words[-_LABEL_LENGTH:]}"
    return ""


def drawn_place(number: int, label: str, place: PlacePart, size: tuple[int, int]) -> DrawnPlace:
    """Gives a place in pixels of an image of this size."""
    width, height = size
    letters = max(size) / 16
    across = down = 0.0
    corners = ""
    match place:
        case BoxPart(box):
            shape, first = "box", (box[0], box[1])
            across, down = (box[2] - box[0]) * width, (box[3] - box[1]) * height
        case PointPart(point):
            shape, first = "point", point
        case PolygonPart(polygon):
            shape, first = "polygon", polygon[0]
            corners = " ".join(f"{x * width:.1f},{y * height:.1f}" for x, y in polygon)
    x, y = first[0] * width, first[1] * height
    return DrawnPlace(
        number,
        label,
        part_text(place),
        number % STYLES,
        shape,
        corners,
        x=round(x, 1),
        y=round(y, 1),
        width=round(max(across, 0), 1),
        height=round(max(down, 0), 1),
        label_x=round(min(x + 2, width - letters), 1),
        label_y=round(min(max(y + letters, letters), height - 2.0), 1),
    )


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
