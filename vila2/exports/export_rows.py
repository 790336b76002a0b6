"""Rows: conversations as they are exported, each with its images, and what cannot be exported.

A tree becomes one row for each of its branches, since other trainers have no trees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

from vila2.data.branches import take_apart
from vila2.data.coordinates import Size, polygon_text
from vila2.data.images import image_size
from vila2.data.sample import BoxPart, ImagePart, Part, PointPart, PolygonPart, Sample, TextPart, Turn
from vila2.exports.conventions import Convention


@dataclass(frozen=True)
class ExportRow:
    """One conversation to export.

    Attributes:
        key: key of the row, unique within the export: the sample's, with ":2", ":3", ... for a tree's later
            branches.
        image_key: key of the sample, which names its image files; the branches of a tree share them.
        images: encoded images, upright.
        turns: turns, which alternate and begin with the user's, after a system turn if there is one.
        convention: how places are written.
    """

    key: str
    image_key: str
    images: tuple[bytes, ...]
    turns: tuple[Turn, ...]
    convention: Convention

    @cached_property
    def size(self) -> Size | None:
        """Width and height of the image in pixels; None for a row without exactly one image."""
        if len(self.images) != 1:
            return None
        return image_size(self.images[0], where=self.image_key)

    def text(self, turn: Turn, image: str = "") -> str:
        """Writes a turn as text.

        Args:
            turn: one of the row's turns.
            image: text that stands for an image; a line end follows it before other text.

        Raises:
            DataError: a place cannot be written in the row's convention.
        """
        return "".join(self.pieces(turn, image))

    def pieces(self, turn: Turn, image: str = "") -> Iterator[str]:
        """Writes the parts of a turn one by one; see :meth:`text`."""
        for number, part in enumerate(turn.parts):
            match part:
                case TextPart(text):
                    yield text
                case ImagePart():
                    follows = number + 1 < len(turn.parts) and image
                    yield image + ("\n" if follows and not _begins_a_line(turn.parts[number + 1]) else "")
                case BoxPart(box):
                    yield self.convention.write(box, self.size)
                case PointPart(point):
                    yield self.convention.write(point, self.size)
                case PolygonPart(polygon):
                    yield polygon_text(self.convention.write(corner, self.size) for corner in polygon)

    @property
    def answers(self) -> list[str]:
        """The texts that the loss counts, in order."""
        return [self.text(turn) for turn in self.turns if turn.trained]


def rows_of(sample: Sample, convention: Convention, question: str) -> Iterator[ExportRow]:
    """Makes the rows of a sample.

    Args:
        sample: a conversation or a tree, with upright images.
        convention: how places are written.
        question: text of the user before an answer that has no question; "" leaves the image alone.
    """
    for number, conversation in enumerate(take_apart(sample), start=1):
        key = sample.key if number == 1 else f"{sample.key}:{number}"
        turns = _alternating(conversation.turns, question)
        yield ExportRow(key, sample.key, sample.images, turns, convention)


def _begins_a_line(part: Part) -> bool:
    return isinstance(part, ImagePart) or (isinstance(part, TextPart) and part.text.startswith("\n"))


def _alternating(turns: tuple[Turn, ...], question: str) -> tuple[Turn, ...]:
    """Joins neighboring turns of one speaker, and gives every answer a question.

    Trainers refuse two turns of one speaker in a row, and conversations that the assistant begins.
    """
    joined: list[Turn] = []
    for turn in _unmasked(turns):
        last = joined[-1] if joined else None
        if last is not None and last.role == turn.role:
            between = () if turn.text[:1].isspace() else (TextPart("\n"),)
            joined[-1] = replace(last, parts=(*last.parts, *between, *turn.parts))
            continue
        if turn.role == "assistant" and (last is None or last.role == "system"):
            joined.append(Turn("user", (TextPart(question),)))
        joined.append(turn)
    return tuple(_asking(turn, question) for turn in joined)


def _unmasked(turns: Sequence[Turn]) -> Iterator[Turn]:
    """The turns without those that a merge masked within an answer: other trainers would train on them."""
    for role, group in groupby(turns, key=lambda turn: turn.role):
        run = list(group)
        partly = role == "assistant" and any(turn.trained for turn in run)
        yield from (turn for turn in run if turn.trained or not partly)


def _asking(turn: Turn, question: str) -> Turn:
    """Adds the question to a turn of the user that holds images alone."""
    if turn.role == "user" and question and all(isinstance(part, ImagePart) for part in turn.parts):
        return replace(turn, parts=(*turn.parts, TextPart(question)))
    return turn
