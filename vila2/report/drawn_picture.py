"""Places drawn into a picture, as the preview draws them onto a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vila2.report.preview_page import DrawnPlace

if TYPE_CHECKING:
    from PIL import Image

#: Those of the style sheet, by ``DrawnPlace.style``.
_COLORS = ("#6b737e", "#0b62a4", "#b84a00", "#6a2380", "#12795a")
_UNDER = "#ffffff"


def draw_places(image: Image.Image, places: Sequence[DrawnPlace]) -> Image.Image:
    """Draws places with their numbers into a copy of an image; a white line lies under each colored one."""
    from PIL import ImageDraw, ImageFont

    drawn = image.copy()
    pen = ImageDraw.Draw(drawn)
    width = max(2, round(max(image.size) / 250))
    font = ImageFont.load_default(size=max(10, max(image.size) / 24))
    for place in places:
        for color, line in ((_UNDER, 2 * width), (_COLORS[place.style], width)):
            _outline(pen, place, color, line)
        at, color = (place.label_x, place.y), _COLORS[place.style]
        pen.text(at, str(place.number), color, font, stroke_width=width, stroke_fill=_UNDER)
    return drawn


def _outline(pen: object, place: DrawnPlace, color: str, width: int) -> None:
    from PIL import ImageDraw

    assert isinstance(pen, ImageDraw.ImageDraw)
    if place.shape == "box":
        corners = (place.x, place.y, place.x + place.width, place.y + place.height)
        pen.rectangle(corners, outline=color, width=width)
    elif place.shape == "point":
        pen.circle((place.x, place.y), 3 * width, fill=color)
    else:
        outline = [tuple(map(float, corner.split(","))) for corner in place.corners.split()]
        pen.line([*outline, outline[0]], fill=color, width=width, joint="curve")
