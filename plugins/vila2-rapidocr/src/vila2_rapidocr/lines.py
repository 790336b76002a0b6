"""Pieces of text joined into lines, in reading order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vila2.plugin import Box

#: Pieces stand side by side if they share this part of the lower one's height.
_SIDE_BY_SIDE = 0.5


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of text as it was found.

    Attributes:
        text: the text.
        box: its upright box, unit xyxy.
    """

    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text: pieces side by side, from left to right."""

    pieces: tuple[Fragment, ...]

    @property
    def text(self) -> str:
        """The pieces, with a space between them; a straight double quote would end the quotation."""
        return " ".join(" ".join(piece.text.split()) for piece in self.pieces).replace('"', "''")

    @property
    def box(self) -> Box:
        """The box around all pieces."""
        lefts, tops, rights, bottoms = zip(*(piece.box for piece in self.pieces), strict=True)
        return (min(lefts), min(tops), max(rights), max(bottoms))


def lines_of(fragments: Sequence[Fragment], *, gap: float, aspect: float) -> list[Line]:
    """Joins pieces into lines, and sorts these from top to bottom and from left to right.

    Columns are not found: lines side by side are read across.

    Args:
        fragments: pieces in any order.
        gap: widest gap within a line, in heights of its text.
        aspect: width of the image over its height, since heights and widths are units of their own side.
    """
    lines: list[list[Fragment]] = []
    for piece in sorted(fragments, key=lambda one: one.box):
        before = [line for line in lines if _continues(line[-1].box, piece.box, gap / aspect)]
        if before:
            max(before, key=lambda line: line[-1].box[2]).append(piece)
        else:
            lines.append([piece])
    rows: list[list[Line]] = []
    for line in sorted(map(Line, map(tuple, lines)), key=lambda one: (one.box[1] + one.box[3], one.box)):
        if rows and _side_by_side(rows[-1][0].box, line.box):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda one: one.box)]


def _continues(one: Box, other: Box, gap: float) -> bool:
    """Whether a piece follows another one in the same line."""
    height = min(one[3] - one[1], other[3] - other[1])
    # Boxes of neighbors may overlap a little.
    return _side_by_side(one, other) and -gap * height / 2 <= other[0] - one[2] <= gap * height


def _side_by_side(one: Box, other: Box) -> bool:
    shared = min(one[3], other[3]) - max(one[1], other[1])
    return shared > _SIDE_BY_SIDE * min(one[3] - one[1], other[3] - other[1])
