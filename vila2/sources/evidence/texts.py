"""Reads written text with its places, boxes or outlines in pixels, and the named fields of a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from vila2.data.boxes import Point
from vila2.data.evidence import Evidence, WrittenText
from vila2.data.rejects import Reject
from vila2.data.sample import Sample
from vila2.data.shortening import shown
from vila2.sources.evidence.annotated_images import (
    Frame,
    Picture,
    Size,
    is_number,
    numbers,
    within_a_pixel,
)

#: Texts that datasets write for illegible ones.
UNREADABLE = frozenset({"###", "."})
_UNIT = Frame(1, 1)
_TEXTS = ("text", "transcription")  # the second is PaddleOCR's
_BOXES, _OUTLINES = ("box", "bbox"), ("quad", "points")
_CORNERS = ("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")  # of CORD's quads

Refusal = tuple[str, str]


class _Place(NamedTuple):
    """The place of a text as a row gives it.

    Attributes:
        points: two corners of a box, or four or more of an outline.
    """

    points: tuple[tuple[float, float], ...]

    @property
    def is_box(self) -> bool:
        return len(self.points) == 2

    @property
    def swapped(self) -> bool:
        """Tells whether the second corner of a box lies before the first."""
        return self.is_box and any(last < first for first, last in zip(*self.points, strict=True))


def texts_of(row: Mapping[str, Any]) -> Any:
    """Returns the content of ``texts``, or else of ``lines``."""
    return row[_list_name(row)]


def _list_name(row: Mapping[str, Any]) -> str:
    return "texts" if row.get("texts") is not None or "lines" not in row else "lines"


def reach_of(row: Mapping[str, Any]) -> Size | None:
    """Returns the largest x and y of the texts' pixel coordinates; None if there are none."""
    texts = texts_of(row)
    if row.get("scale") not in (None, "pixels") or not isinstance(texts, list | tuple):
        return None
    places = [place for entry in texts if isinstance(place := _place(_fields(entry)), _Place)]
    points = [point for place in places for point in place.points]
    return (max(x for x, _ in points), max(y for _, y in points)) if points else None


def read_texts(row: Mapping[str, Any], picture: Picture, *, where: str) -> Iterator[Sample | Reject]:
    """Yields the sample of a row, and a reject for each text that cannot be used; texts keep their order.

    ``texts`` (or ``lines``) holds objects with ``text`` (or ``transcription``) and one of ``box`` or ``bbox``
    (xmin, ymin, xmax, ymax), ``quad`` (eight numbers, four points, or CORD's x1 to y4) or ``points``;
    ``kind`` is kept. Lists of points and text, as from EasyOCR and PaddleOCR, are read too. Places are
    pixels, or shares of the image if the row says ``"scale": "unit"``; a row that does not say, and whose
    places all lie within a single pixel, is rejected. The list counts as complete, unless a text cannot be
    used or the row says ``"all_texts": false``.

    Args:
        row: fields of the row.
        picture: image of the row.
        where: place of the row.
    """
    name = _list_name(row)
    given, scale = row[name], row.get("scale")  # tables have None for fields that a row lacks
    if scale not in (None, "pixels", "unit"):
        yield Reject(where, picture.key, "bad-row", f"scale is {shown(scale)}; use 'pixels' or 'unit'")
        return
    if not isinstance(given, list | tuple):
        detail = f"{name} is {shown(given)}; use a list of objects with 'text' and 'box'"
        yield Reject(where, picture.key, "bad-row", detail)
        return
    entries = [_fields(entry) for entry in given]
    places = [_place(entry) for entry in entries]
    known = [place for place in places if isinstance(place, _Place)]
    unsure = _unsure(known, scale is not None)
    if unsure is not None:
        yield Reject(where, picture.key, *unsure)
        return
    frame = _UNIT if scale == "unit" else picture.frame
    texts = []
    for number, (entry, place) in enumerate(zip(entries, places, strict=True)):
        made = _text(entry, place, frame, scale == "unit")
        if isinstance(made, WrittenText):
            texts.append(made)
        else:
            yield Reject(f"{where}.{name}[{number}]", picture.key, *made)
    fields, refused = _named_values(row.get("fields"))
    for detail in refused:
        yield Reject(where, picture.key, "bad-fields", detail)
    complete = len(texts) == len(given) and row.get("all_texts") in (None, True)
    evidence = Evidence(texts=tuple(texts), all_texts=complete, fields=fields)
    yield picture.sample(evidence, {})


def _unsure(places: Sequence[_Place], said: bool) -> Refusal | None:
    """Says why the places of a row cannot be trusted, as reason and detail; None if they can.

    Args:
        places: places of the row's texts.
        said: whether the row gives a scale.
    """
    if not places:
        return None
    values = [value for place in places for point in place.points for value in point]
    if not said and within_a_pixel(values):
        detail = 'every place lies within 0 to 1: add "scale": "unit" (shares of the image) or "pixels"'
        return "unsure-scale", detail
    boxes = [place for place in places if place.is_box]
    swapped = [place for place in boxes if place.swapped]
    if len(boxes) > 1 and 2 * len(swapped) >= len(boxes):
        corners = [value for point in swapped[0].points for value in point]
        detail = f"boxes are xmin, ymin, xmax, ymax; {corners} is not, it looks like x, y, width, height"
        return "unsure-boxes", f"{detail}, and so may all be of this row"
    return None


def _fields(entry: Any) -> Mapping[str, Any] | None:
    """Makes an object of an entry.

    An entry may be a list: (points, text, score) from EasyOCR, (points, (text, score)) from PaddleOCR.
    """
    if isinstance(entry, Mapping):
        return entry
    if not isinstance(entry, list | tuple) or len(entry) not in (2, 3):
        return None
    points, text = entry[:2]
    text = text[0] if isinstance(text, list | tuple) and text else text
    return {"points": points, "text": text} if isinstance(text, str) and _points(points) else None


def _text(
    entry: Mapping[str, Any] | None, place: _Place | str, frame: Frame, unit: bool
) -> WrittenText | Refusal:
    """Reads a text; or reason and detail of its reject."""
    if entry is None:
        return "bad-text", "no object with 'text' and 'box'"
    name = next((name for name in _TEXTS if entry.get(name) is not None), None)
    name = name or next((name for name in _TEXTS if name in entry), None)
    if name is None:
        return "missing-text", f"no 'text', only {', '.join(map(repr, list(entry)[:6])) or 'nothing'}"
    text = _written(entry[name])
    if text is None:
        return "unreadable-text", f"{name} is {_why_not(entry[name])}"
    if isinstance(place, str):
        return "bad-box", f"{shown(text)}: {place}"
    values = [value for point in place.points for value in point]
    if frame is not _UNIT and within_a_pixel(values) and not all(value == int(value) for value in values):
        return "bad-box", f"{shown(text)}: {values} are shares of the image, while others are pixels"
    if unit and not within_a_pixel(values) and max(values) > 2:
        return "bad-box", f"{shown(text)}: {values} are not shares of the image, but the row says so ('unit')"
    outline = _outline(place, frame)
    if outline is None:
        size = "0 to 1" if unit else f"{frame.width:g}x{frame.height:g}"
        return "bad-box", f"{shown(text)}: {shown(values)} has no area in the image ({size})"
    kind = entry.get("kind", "")
    return WrittenText(text=text, outline=outline, kind=kind if isinstance(kind, str) else "")


def _written(value: Any) -> str | None:
    """Reads a text, None if it is illegible. Only whole numbers are texts, since 9.5 may have been 9.50."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return text if isinstance(text, str) and text.strip() and text.strip() not in UNREADABLE else None


def _why_not(value: Any) -> str:
    if is_number(value):
        return f"the number {shown(value)}: give it as text, digit by digit as it is written"
    return shown(value)


def _named_values(value: Any) -> tuple[dict[str, str], list[str]]:
    """Reads the fields of a document.

    Returns:
        Fields that can be used, and what is wrong with each of the others.
    """
    if value is None:
        return {}, []
    if not isinstance(value, Mapping):
        return {}, [f"fields is {shown(value)}; use texts by name"]
    fields, refused = {}, []
    for name, one in value.items():
        whole = isinstance(one, int) and not isinstance(one, bool)
        if isinstance(one, str) or whole:
            fields[str(name)] = str(one)
        elif one is not None:  # a table's column that is empty in this row
            refused.append(f"{shown(name)} is {_why_not(one)}")
    return fields, refused


def _place(entry: Mapping[str, Any] | None) -> _Place | str:
    """Reads the place of an entry's text; or a text that says what is wrong with it."""
    if entry is None:
        return "no place"
    name = next((name for name in (*_BOXES, *_OUTLINES) if entry.get(name) is not None), None)
    if name is None:
        return "no 'box', 'quad' or 'points'"
    given = entry[name]
    box = numbers(given, 4)
    if box is not None and name in _BOXES:
        return _Place(((box[0], box[1]), (box[2], box[3])))
    if isinstance(given, Mapping):
        given = [given.get(corner) for corner in _CORNERS]
    points = _points(given)
    if points is None or (name in _BOXES and len(points) < 4):
        needed = "four numbers" if name in _BOXES else "eight numbers or four points and more, as numbers"
        return f"{name} is {shown(entry[name])}; needed are {needed}"
    return _Place(points) if len(points) >= 4 else f"{name} has {len(points)} points; needed are four or more"


def _points(value: Any) -> tuple[tuple[float, float], ...] | None:
    """Reads points from a flat list of eight or more numbers, or from pairs."""
    if not isinstance(value, list | tuple) or not value:
        return None
    if len(value) >= 8 and len(value) % 2 == 0 and (flat := numbers(value, len(value))) is not None:
        return tuple(zip(flat[::2], flat[1::2], strict=True))
    pairs = [numbers(point, 2) for point in value]
    return None if None in pairs else tuple((pair[0], pair[1]) for pair in pairs if pair)


def _outline(place: _Place, frame: Frame) -> tuple[Point, ...] | None:
    if place.is_box:
        (x0, y0), (x1, y1) = place.points
        unit = frame.box(x0, y0, x1, y1)
        if unit is None:
            return None
        x0, y0, x1, y1 = unit
        return (x0, y0), (x1, y0), (x1, y1), (x0, y1)
    points = tuple(frame.point(x, y) for x, y in place.points)
    return points if _area(points) > 0 else None


def _area(points: Sequence[Point]) -> float:
    after = (*points[1:], points[0])
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, after, strict=True))) / 2
