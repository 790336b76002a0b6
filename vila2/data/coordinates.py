"""The coordinate codec: writes boxes, points and polygons as a model does, and reads its answers back.

Everywhere else they are in unit coordinates of the original image. A scheme is a model's
convention: Shikra's decimals, Qwen-VL's thousandths, PaliGemma's ``<loc0512>`` in y, x order. The scale
always comes from the scheme and is never guessed from the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

from vila2.data.boxes import FEWEST_CORNERS, ROUNDING, Box, Point, Polygon, place_fault
from vila2.data.coordinate_text import Written, number_template, written_lists, written_tokens
from vila2.data.sample import BoxPart, Part, PlacePart, PointPart, PolygonPart, SpokenPart, TextPart
from vila2.errors import DataError

Status = Literal["ok", "swapped", "out-of-range", "degenerate", "wrong-arity"]
Size = tuple[int, int]  # width and height of the original image in pixels
_SEPARATOR = ","
_OPEN, _CLOSE = "[", "]"  # around the corners of a polygon
_Number = TypeVar("_Number", bound=float)


@dataclass(frozen=True, slots=True)
class ParsedBox:
    """A box that was found in a text.

    Attributes:
        box: box in unit xyxy of the original image, corners in order; None where the status is "out-of-range"
            or "wrong-arity".
        status: "ok"; "swapped": a corner is on the wrong side of the other; "out-of-range": a number that the
            scheme does not write, such as a percentage or a pixel; "degenerate": no area; "wrong-arity": not
            four numbers, or cut off.
        start: place of the first character in the text.
        end: place behind the last character.
    """

    box: Box | None
    status: Status
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ParsedPoint:
    """A point that was found in a text, in unit xy of the original image; otherwise as :class:`ParsedBox`."""

    point: Point | None
    status: Status
    start: int
    end: int


@dataclass(frozen=True)
class CoordinateScheme:
    """A model's convention for coordinates.

    Attributes:
        kind: form of the numbers: "text" writes ``[xmin,ymin,xmax,ymax]`` (paper A.1), "tokens" writes one
            added token per number.
        order: order of a box's numbers; its first half is the order of a point's.
        decimals: number of decimals in text; None writes whole bins instead.
        bins: number of steps along a side of the image, where numbers are bins or tokens. Bin k covers
            [k / bins, (k + 1) / bins) and is read as its center.
        template: text of a bin's token.
        frame: reference of the numbers: the original image, or the square that it is padded to, with the
            image in the middle.

    Raises:
        DataError: the settings do not make a scheme.
    """

    kind: Literal["text", "tokens"] = "text"
    order: Literal["xyxy", "yxyx"] = "xyxy"
    decimals: int | None = 3
    bins: int = 1000
    template: str = "<loc_{:03d}>"
    frame: Literal["original", "padded"] = "original"

    def __post_init__(self) -> None:
        choices = {"kind": ("text", "tokens"), "order": ("xyxy", "yxyx"), "frame": ("original", "padded")}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise DataError(
                    f"unknown {name} {getattr(self, name)!r} of a coordinate scheme", hint=f"use {known}"
                )
        if self.decimals is not None and not 1 <= self.decimals <= 9:
            raise DataError(f"{self.decimals} decimals of a coordinate", hint="use 1 to 9, or None for bins")
        if not 2 <= self.bins <= 10**6:
            raise DataError(f"{self.bins} bins of a coordinate", hint="use 2 to a million")
        number_template(self.template)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CoordinateScheme:
        """Reads what :meth:`to_json` wrote.

        Raises:
            DataError: a setting has an unknown name, or the settings do not make a scheme.
        """
        unknown = set(data) - set(cls.__dataclass_fields__)
        if unknown:
            raise DataError(
                f"unknown setting {sorted(unknown)[0]!r} of a coordinate scheme",
                hint=f"use {', '.join(cls.__dataclass_fields__)}",
            )
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        """Gives all settings as JSON values."""
        return asdict(self)

    @property
    def in_bins(self) -> bool:
        """Whether numbers are bins, not decimals."""
        return self.kind == "tokens" or self.decimals is None

    @property
    def half_step(self) -> float:
        """The largest rounding error of a coordinate, relative to a side of the frame."""
        if self.kind == "tokens" or self.decimals is None:
            return 0.5 / self.bins
        return 0.5 * 10.0**-self.decimals

    def render(self, place: Box | Point, size: Size | None = None) -> str:
        """Writes a box or a point as text; tokens are joined, see :meth:`tokens`.

        Args:
            place: box in unit xyxy, or point in unit xy, of the original image.
            size: width and height of the original image in pixels, for the frame "padded".

        Raises:
            DataError: the place lies outside of the image, its corners are swapped, or the size is missing.
        """
        if self.kind == "tokens":
            return "".join(self.tokens(place, size))
        form = "d" if self.in_bins else f".{self.decimals}f"
        return "[" + ",".join(format(number, form) for number in self._numbers(place, size)) + "]"

    def tokens(self, place: Box | Point, size: Size | None = None) -> tuple[str, ...]:
        """Writes a box or a point as the names of its tokens, in order.

        Raises:
            DataError: as :meth:`render` raises, or the scheme has no tokens.
        """
        if self.kind != "tokens":
            raise DataError("this scheme writes coordinates as text", hint="use render")
        return tuple(self.template.format(number) for number in self._numbers(place, size))

    def parse(self, text: str, size: Size | None = None) -> list[ParsedBox]:
        """Finds every box in a text, well formed or not, in order; time is linear in the text's length.

        In text, a box is a bracket that holds only numbers or begins with two; ``[sic]`` is not one. Every
        four neighboring tokens are a box; where some are left over, the whole run counts as one box that is
        not well formed.

        Args:
            text: text that a model wrote.
            size: width and height of the original image in pixels, for the frame "padded".
        """
        return [self._parsed_box(found, size) for found in self._written(text, 4)]

    def parse_points(self, text: str, size: Size | None = None) -> list[ParsedPoint]:
        """Finds every point in a text; as :meth:`parse`, with two numbers each."""
        return [self._parsed_point(found, size) for found in self._written(text, 2)]

    def to_text(self, parts: Sequence[SpokenPart], size: Size | None = None) -> str:
        """Writes parts as the model writes them."""
        written = []
        for part in self.apart(parts):
            match part:
                case BoxPart(place) | PointPart(place):
                    written.append(self.render(place, size))
                case PolygonPart(polygon):
                    written.append(polygon_text(self.render(corner, size) for corner in polygon))
                case TextPart(text):
                    written.append(text)
        return "".join(written)

    def apart(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """Puts a comma between neighboring places that would read as others: two points in tokens as a box.

        Boxes in succession need none, nor does text, whose brackets keep places apart. In tokens, a polygon
        becomes its corners, with commas between them, in brackets.
        """
        if self.kind == "text":
            return tuple(parts)
        found: list[Part] = []
        last: int | None = None  # where the last place stands, if nothing but white space followed it
        for part in parts:
            if isinstance(part, PolygonPart):
                found += _corners(part)
                last = None
                continue
            if isinstance(part, BoxPart | PointPart):
                if last is not None and PointPart in (type(part), type(found[last])):
                    found.insert(last + 1, TextPart(_SEPARATOR))
                last = len(found)
            elif not isinstance(part, TextPart) or part.text.strip():
                last = None
            found.append(part)
        return tuple(found)

    def to_parts(self, text: str, size: Size | None = None) -> tuple[Part, ...]:
        """Splits a text into parts: every well-formed place becomes one; all else stays text."""
        parts: list[Part] = []
        end = 0
        for start, behind, part in self._places_in(text, size):
            if text[end:start]:
                parts.append(TextPart(text[end:start]))
            parts.append(part)
            end = behind
        return (*parts, TextPart(text[end:])) if text[end:] else tuple(parts)

    def _places_in(self, text: str, size: Size | None) -> Iterator[tuple[int, int, PlacePart]]:
        """The well-formed places of a text, in order, with their first and last characters."""
        points = {(one.start, one.end): one.point for one in self.parse_points(text, size)}
        outlines = {outline.first: outline for outline in _outlines(text, points)}
        done = 0
        for place in self.parse(text, size):
            if place.start < done:  # a further corner
                continue
            outline, point = outlines.get(place.start), points.get((place.start, place.end))
            if outline:
                done = outline.end
                yield outline.start, outline.end, PolygonPart(outline.polygon)
            elif place.status == "ok" and place.box is not None:
                yield place.start, place.end, BoxPart(place.box)
            elif point is not None:
                yield place.start, place.end, PointPart(point)

    def _written(self, text: str, arity: int) -> Iterator[Written]:
        return written_tokens(text, self._template, arity) if self.kind == "tokens" else written_lists(text)

    @cached_property
    def _template(self) -> tuple[str, str, str]:
        return number_template(self.template)

    def _numbers(self, place: Box | Point, size: Size | None) -> Sequence[float]:
        """Converts a box or point to the numbers that are written, in the scheme's order."""
        if fault := place_fault(place, 2 if len(place) == 2 else 4):
            raise DataError(fault, hint="give (xmin, ymin, xmax, ymax), or (x, y), from 0 to 1")
        scale, shift = self._frame(size)
        framed = [min(max(value, 0.0), 1.0) * scale[n % 2] + shift[n % 2] for n, value in enumerate(place)]
        if self.in_bins:
            return self._reorder([min(int(value * self.bins), self.bins - 1) for value in framed])
        return self._reorder(framed)

    def _parsed_box(self, found: Written, size: Size | None) -> ParsedBox:
        place, status = self._place(found, 4, size)
        if place is None:
            return ParsedBox(None, status, found.start, found.end)
        x0, y0, x1, y1 = place
        box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        if x0 == x1 or y0 == y1:
            status = "degenerate"
        elif box != (x0, y0, x1, y1):
            status = "swapped"
        return ParsedBox(box, status, found.start, found.end)

    def _parsed_point(self, found: Written, size: Size | None) -> ParsedPoint:
        place, status = self._place(found, 2, size)
        return ParsedPoint(None if place is None else (place[0], place[1]), status, found.start, found.end)

    def _place(self, found: Written, arity: int, size: Size | None) -> tuple[list[float] | None, Status]:
        """Reads written numbers as unit coordinates, x before y."""
        if not found.whole or len(found.numbers) != arity:
            return None, "wrong-arity"
        values = [value for number in found.numbers if (value := self._value(number)) is not None]
        if len(values) < arity:
            return None, "out-of-range"
        scale, shift = self._frame(size)
        place = []
        for n, value in enumerate(self._reorder(values)):
            unit = (value - shift[n % 2]) / scale[n % 2]
            # The center of a bin may lie half a step beyond the edge of a padded image.
            slack = self.half_step / scale[n % 2] + ROUNDING if self.frame == "padded" else 0.0
            if not -slack <= unit <= 1 + slack:
                return None, "out-of-range"
            place.append(min(max(unit, 0.0), 1.0))
        return place, "ok"

    def _value(self, number: str) -> float | None:
        """Reads a number in units of the frame; None where the scheme does not write such a number."""
        if not self.in_bins:
            value = float(number) if number[-1:].isdigit() or number.endswith(".") else math.inf
            return value if 0 <= value <= 1 else None
        if not number.isdigit() or int(number) >= self.bins:
            return None
        if self.kind == "tokens" and self.template.format(int(number)) != number.join(self._template[::2]):
            return None
        return (int(number) + 0.5) / self.bins

    def _reorder(self, numbers: Sequence[_Number]) -> list[_Number]:
        """Exchanges x, y order and the scheme's order."""
        if self.order == "xyxy":
            return list(numbers)
        return [number for x, y in zip(numbers[::2], numbers[1::2], strict=True) for number in (y, x)]

    def _frame(self, size: Size | None) -> tuple[Point, Point]:
        """Gives scale and shift, by axis, from the original image to the frame."""
        if self.frame == "original":
            return (1.0, 1.0), (0.0, 0.0)
        if size is None:
            raise DataError(
                "coordinates of a padded image need the size of the original",
                hint="pass size=(width, height)",
            )
        side = max(size)
        scale = size[0] / side, size[1] / side
        return scale, ((1 - scale[0]) / 2, (1 - scale[1]) / 2)


def polygon_text(corners: Iterable[str]) -> str:
    """Writes a polygon whose corners are written."""
    return _OPEN + _SEPARATOR.join(corners) + _CLOSE


def _corners(part: PolygonPart) -> Iterator[TextPart | PointPart]:
    for number, corner in enumerate(part.polygon):
        yield TextPart(_SEPARATOR if number else _OPEN)
        yield PointPart(corner)
    yield TextPart(_CLOSE)


@dataclass(frozen=True, slots=True)
class _Outline:
    """A polygon that was found in a text.

    Attributes:
        polygon: its corners.
        first: place of its first corner.
        start: place of its opening bracket.
        end: place behind its closing bracket.
    """

    polygon: Polygon
    first: int
    start: int
    end: int


def _outlines(text: str, points: Mapping[tuple[int, int], Point | None]) -> Iterator[_Outline]:
    """Finds polygons: three points or more with nothing but commas between them, in brackets.

    Args:
        text: text that a model wrote.
        points: points in it by first and last character, in order; None for one that is not well formed.
    """
    run: list[tuple[int, int, Point]] = []
    before = 0  # behind the last place before the run
    for (start, end), point in [*points.items(), ((len(text), len(text)), None)]:
        last = run[-1][1] if run else before
        if not (run and point is not None and text[last:start].strip() == _SEPARATOR):
            opening, behind = (text[before : run[0][0]].rstrip(), text[last:start]) if run else ("", "")
            if len(run) >= FEWEST_CORNERS and opening[-1:] == _OPEN and behind.lstrip()[:1] == _CLOSE:
                polygon = tuple(corner for _, _, corner in run)
                closed = last + behind.index(_CLOSE) + 1
                yield _Outline(polygon, run[0][0], before + len(opening) - 1, closed)
            run, before = [], last
        if point is not None:
            run.append((start, end, point))
        else:
            before = end
