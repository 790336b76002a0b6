"""A grounded caption: a text whose phrases have boxes, and the image that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vila2.plugin import Box, BoxPart, Part, TextPart

#: A shorter side of a box is none that a thousandth, or one of a thousand tokens, can tell.
SHORTEST = 0.002


@dataclass(frozen=True, slots=True)
class Phrase:
    """Some words of a caption and where they are in the image.

    Attributes:
        start, end: characters of the caption as it is written.
        boxes: one for each instance, unit xyxy of the original image, in order of x1, y1.
        category: of the instances.
    """

    start: int
    end: int
    boxes: tuple[Box, ...]
    category: str


@dataclass(frozen=True, slots=True)
class Grounded:
    """An image with its grounded caption.

    Attributes:
        key: of the sample to be.
        image: the encoded file.
        caption: never cleaned; spans count its characters.
        phrases: noun chunks, in order of start and end.
        expressions: longer phrases that refer to the same boxes ("a dog on the grass"); they may nest.
        meta: for the sample: the name of the image, the evidence.
    """

    key: str
    image: bytes
    caption: str
    phrases: tuple[Phrase, ...]
    expressions: tuple[Phrase, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def instances(self) -> tuple[Phrase, ...]:
        """The phrases that instances are counted by: expressions repeat the boxes of noun chunks."""
        return self.phrases or self.expressions

    def words(self, phrase: Phrase) -> str:
        """A phrase as the caption has it."""
        return self.caption[phrase.start : phrase.end]


def narration(grounded: Grounded, phrases: tuple[Phrase, ...]) -> tuple[Part, ...]:
    """The caption with the boxes of every phrase behind it.

    Where phrases end at the same character, the boxes are in order of the phrases' start, then x1, y1.
    """
    parts: list[Part] = []
    done = 0
    for end in sorted({phrase.end for phrase in phrases}):
        parts.append(TextPart(grounded.caption[done:end] + " "))
        ending = sorted((phrase for phrase in phrases if phrase.end == end), key=lambda phrase: phrase.start)
        boxes = dict.fromkeys(box for phrase in ending for box in phrase.boxes)
        parts += [BoxPart(box) for box in boxes]
        done = end
    rest = grounded.caption[done:]
    return (*parts, TextPart(rest)) if rest else tuple(parts)
