"""The places of texts: which texts are parts of others, which overlap, and the lines that they make.

The reading order is fixed: the page is set straight, then lines go from top to bottom, and the texts of
a line from left to right. Where the boxes do not decide it, the line is unclear, and no rule asks about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import shapely
from shapely import Polygon
from shapely.affinity import affine_transform
from vila2.plugin import Box, Evidence

from vila2_ocr.scoring import plain

#: A text lies in another one where at least this share of its area does.
INSIDE = 0.8
#: Overlap of two heights, as a share of the lower one: from the first on, texts share a line; below the
#: second, they do not.
SAME_LINE, OTHER_LINE = 0.5, 0.25
_STEEPEST = 0.6  # slope of a page; text that runs down the page has no lines of this kind


@dataclass(frozen=True, slots=True)
class Piece:
    """A text with its place.

    Attributes:
        number: place of the text in the evidence.
        outline: outline in unit coordinates of the image.
        level: outline with the slope of the page taken out.
        clear: False where the piece lies over another text.
    """

    number: int
    text: str
    kind: str
    outline: Polygon
    level: Polygon
    clear: bool = True

    @property
    def box(self) -> Box:
        """The upright box around the outline."""
        left, top, right, bottom = map(float, self.outline.bounds)
        return left, top, right, bottom

    @property
    def height(self) -> float:
        """The height of the letters: from the upper to the lower edge of ``level``, unit coordinates."""
        return float(self.level.bounds[3] - self.level.bounds[1])


@dataclass(frozen=True, slots=True)
class Line:
    """Pieces from left to right; ``clear`` where no other line could claim one of them."""

    pieces: tuple[Piece, ...]
    clear: bool

    @property
    def text(self) -> str:
        """The text of the line."""
        return " ".join(piece.text for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Layout:
    """The texts of an image that have a place.

    Attributes:
        pieces: the largest ones, without their own parts and without repetitions.
        lines: of the pieces, from the top; none where the slope is too steep.
        placed: whether every text of the evidence has a place.
    """

    pieces: tuple[Piece, ...]
    lines: tuple[Line, ...]
    placed: bool


def layout_of(evidence: Evidence) -> Layout:
    """The layout of an image's texts."""
    numbers = [number for number, text in enumerate(evidence.texts) if len(text.outline) >= 4]
    outlines = [_polygon(evidence.texts[number].outline) for number in numbers]
    slope = _slope([evidence.texts[number].outline for number in numbers])
    found = []
    for number, outline in zip(numbers, outlines, strict=True):
        text = evidence.texts[number]
        level = affine_transform(outline, [1, 0, -slope, 1, 0, 0])
        found.append(Piece(number, " ".join(text.text.split()), text.kind, outline, level))
    pieces = _largest(found)
    lines = _lines(pieces) if abs(slope) < _STEEPEST else ()
    return Layout(tuple(pieces), tuple(lines), len(numbers) == len(evidence.texts))


def _polygon(points: Sequence[tuple[float, float]]) -> Polygon:
    """The outline as a valid polygon: corners in crossed order give their hull."""
    polygon = Polygon(points)
    return polygon if polygon.is_valid and polygon.area > 0 else polygon.convex_hull.buffer(1e-6)


def _slope(outlines: Sequence[Sequence[tuple[float, float]]]) -> float:
    """The slope of the page: the median slope of the upper edges of the texts, in unit coordinates.

    The slope is inf where text runs down the page.
    """
    slopes = []
    for (x0, y0), (x1, y1), *_ in outlines:
        slopes.append((y1 - y0) / (x1 - x0) if x1 > x0 else float("inf"))
    middle = median(slopes) if slopes else 0.0
    return middle if abs(middle) < _STEEPEST else _STEEPEST


def _largest(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces that are part of no other one.

    A piece that lies over a text without being part of it is unclear.
    """
    if not pieces:
        return []
    tree = shapely.STRtree([piece.outline for piece in pieces])
    gone: set[int] = set()
    unclear: set[int] = set()
    for one, other in tree.query([piece.outline for piece in pieces], predicate="intersects").T.tolist():
        if one == other or _share(pieces[one].outline, pieces[other].outline) < INSIDE:
            continue
        small, large = plain(pieces[one].text), plain(pieces[other].text)
        if small == large:  # the same text twice: the smaller box goes, or the later of two equal ones
            areas = pieces[one].outline.area, pieces[other].outline.area
            gone.add(one if (areas[0], -one) < (areas[1], -other) else other)
        elif small in large:
            gone.add(one)
        else:
            unclear |= {one, other}
    return [
        Piece(piece.number, piece.text, piece.kind, piece.outline, piece.level, number not in unclear)
        for number, piece in enumerate(pieces)
        if number not in gone
    ]


def _share(part: Polygon, whole: Polygon) -> float:
    return float(part.intersection(whole).area / part.area)


def _overlap(one: Piece, other: Piece) -> float:
    """The overlap of two heights, as a share of the lower one."""
    (_, top, _, bottom), (_, upper, _, lower) = one.level.bounds, other.level.bounds
    shared = max(0.0, min(bottom, lower) - max(top, upper))
    return float(shared / (min(bottom - top, lower - upper) or 1.0))


def _lines(pieces: Sequence[Piece]) -> list[Line]:
    """Lines of the pieces that overlap in height.

    A line is clear where all of its pieces overlap, and no other piece does.
    """
    group = list(range(len(pieces)))

    def root(number: int) -> int:
        while group[number] != number:
            number = group[number]
        return number

    shares = {}
    for one in range(len(pieces)):
        for other in range(one + 1, len(pieces)):
            share = shares[one, other] = _overlap(pieces[one], pieces[other])
            if share >= SAME_LINE:
                group[root(other)] = root(one)
    unclear = {root(number) for number, piece in enumerate(pieces) if not piece.clear}
    for (one, other), share in shares.items():
        together = root(one) == root(other)
        if (together and share < OTHER_LINE) or (not together and share > OTHER_LINE):
            unclear |= {root(one), root(other)}
    members: dict[int, list[Piece]] = {}
    for number, piece in enumerate(pieces):
        members.setdefault(root(number), []).append(piece)
    lines = [
        Line(tuple(sorted(own, key=lambda piece: piece.level.centroid.x)), head not in unclear)
        for head, own in members.items()
    ]
    return sorted(lines, key=lambda line: sum(p.level.centroid.y for p in line.pieces) / len(line.pieces))
