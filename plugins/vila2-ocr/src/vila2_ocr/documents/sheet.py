"""A sheet to draw on: an image, and every text on it with its corners."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]


@lru_cache(maxsize=64)
def font_of(size: int) -> ImageFont.FreeTypeFont:
    """The font that comes with Pillow, so that no file is needed."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's own, of any size, since Pillow 10.1
    return font


@dataclass(frozen=True, slots=True)
class Drawn:
    """A text as it was drawn: upright corners in pixels, clockwise from the top left."""

    text: str
    kind: str
    corners: tuple[tuple[float, float], ...]


@dataclass(slots=True)
class Sheet:
    """An image and its texts in the order of drawing: each whole text, then its words."""

    width: int
    height: int
    ground: Colour = (255, 255, 255)
    drawn: list[Drawn] = field(default_factory=list)
    image: Image.Image = field(init=False)

    def __post_init__(self) -> None:
        self.image = Image.new("RGB", (self.width, self.height), self.ground)

    @property
    def pen(self) -> ImageDraw.ImageDraw:
        """A pen for lines and areas."""
        return ImageDraw.Draw(self.image)

    def write(
        self,
        text: str,
        x: float,
        y: float,
        size: int,
        *,
        kind: str,
        anchor: str = "left",
        ink: Colour = (20, 20, 20),
    ) -> None:
        """Draws a text on one line and records it.

        Args:
            x, y: the upper left corner; with anchor "right" the upper right one, with "middle" the upper
                middle.
            size: size of the letters, in pixels.
            kind: kind of the text, for the evidence.
        """
        font, pen = font_of(size), self.pen
        length = pen.textlength(text, font=font)
        x -= {"left": 0.0, "right": length, "middle": length / 2}[anchor]
        pen.text((x, y), text, font=font, fill=ink)
        left, top, right, bottom = pen.textbbox((x, y), text, font=font)
        self.drawn.append(Drawn(text, kind, _corners(left, top, right, bottom)))
        words = text.split(" ")
        if len(words) == 1:
            return
        for number, word in enumerate(words):
            before = " ".join([*words[:number], ""])
            at = x + pen.textlength(before, font=font)
            left, top, right, bottom = pen.textbbox((at, y), word, font=font)
            self.drawn.append(Drawn(word, "word", _corners(left, top, right, bottom)))


def _corners(left: float, top: float, right: float, bottom: float) -> tuple[tuple[float, float], ...]:
    return (left, top), (right, top), (right, bottom), (left, bottom)
