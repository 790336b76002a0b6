"""How models write boxes and points: unit decimals, thousandths, pixels, location tokens.

Exports are written for a model's convention, and answers are read by it.

Inside vila2, boxes and points are in unit coordinates of the original image. Models disagree: Qwen3-VL and
InternVL read thousandths, Qwen2.5-VL reads pixels of the image after its own resizing, PaliGemma reads tokens
in y, x order. A convention is chosen by name or by the model that the export is for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vila2.data.boxes import Box, Point
from vila2.data.coordinate_text import Written, written_lists
from vila2.data.coordinates import CoordinateScheme, Size
from vila2.data.parsing import read_json
from vila2.data.sample import BoxPart, Part, PointPart, TextPart
from vila2.errors import DataError
from vila2.model.coordinate_scheme import scheme_in
from vila2.nearest import did_you_mean

_PATCHES = 28  # Qwen2.5-VL: 14 pixels a patch, 2 x 2 patches joined
_FEWEST, _MOST = 56 * 56, 12_845_056  # its default numbers of pixels


@dataclass(frozen=True, slots=True)
class Convention:
    """A way to write places in text.

    Attributes:
        name: name of the convention, as ``--coordinates`` takes it.
        write: function from a box or point in unit coordinates, and the image's width and height in pixels
            (None for a sample without exactly one image), to the text.
        read: function from a text, and the image's width and height, to its parts: every well-formed place
            is one, all else stays text.
    """

    name: str
    write: Callable[[Box | Point, Size | None], str]
    read: Callable[[str, Size | None], tuple[Part, ...]]


def resized_by_qwen(size: Size, fewest: int = _FEWEST, most: int = _MOST) -> Size:
    """Computes the size that Qwen2.5-VL's processor resizes an image to (its "smart resize").

    Args:
        size: width and height in pixels.
        fewest: smallest number of pixels (``min_pixels`` of the processor).
        most: largest number of pixels (``max_pixels``).

    Returns:
        Width and height, both multiples of 28.
    """
    width, height = size
    wide = max(_PATCHES, round(width / _PATCHES) * _PATCHES)
    high = max(_PATCHES, round(height / _PATCHES) * _PATCHES)
    if wide * high > most:
        shrink = (width * height / most) ** 0.5
        return tuple(max(_PATCHES, int(side / shrink // _PATCHES) * _PATCHES) for side in size)  # type: ignore[return-value]
    if wide * high < fewest:
        grow = (fewest / (width * height)) ** 0.5
        return tuple(int(-(-side * grow // _PATCHES)) * _PATCHES for side in size)  # type: ignore[return-value]
    return wide, high


def _of_scheme(name: str, scheme: CoordinateScheme) -> Convention:
    return Convention(name, scheme.render, scheme.to_parts)


def _in_pixels(name: str, resize: Callable[[Size], Size]) -> Convention:
    """The convention of pixels of an image after it was resized."""

    def sides_of(size: Size | None) -> Size:
        if size is None:
            raise DataError(
                "a place in pixels needs a sample with exactly one image",
                hint="export it with --coordinates unit",
            )
        return resize(size)

    def write(place: Box | Point, size: Size | None) -> str:
        sides = sides_of(size)
        return "[" + ", ".join(str(round(value * sides[n % 2])) for n, value in enumerate(place)) + "]"

    def read(text: str, size: Size | None) -> tuple[Part, ...]:
        sides = sides_of(size)
        parts: list[Part] = []
        end = 0
        for found in written_lists(text):
            if place := _place_of_pixels(found, sides):
                parts += [TextPart(text[end : found.start])] if text[end : found.start] else []
                parts.append(place)
                end = found.end
        return (*parts, TextPart(text[end:])) if text[end:] else tuple(parts)

    return Convention(name, write, read)


def _place_of_pixels(found: Written, sides: Size) -> BoxPart | PointPart | None:
    """A well-formed place; None for other lists, and for what lies outside of the image."""
    if not found.whole or not all(number.replace(".", "", 1).isdigit() for number in found.numbers):
        return None
    place = tuple(float(number) / sides[n % 2] for n, number in enumerate(found.numbers))
    if max(place) > 1:
        return None
    match place:
        case (x, y):
            return PointPart((x, y))
        case (left, top, right, bottom) if left < right and top < bottom:
            return BoxPart((left, top, right, bottom))
    return None


#: The conventions by name.
CONVENTIONS: dict[str, Convention] = {
    found.name: found
    for found in (
        _of_scheme("unit", CoordinateScheme()),
        _of_scheme("thousandths", CoordinateScheme(decimals=None)),
        _in_pixels("pixels", lambda size: size),
        _in_pixels("resized-pixels", resized_by_qwen),
        _of_scheme("tokens", CoordinateScheme("tokens")),
        _of_scheme("paligemma", CoordinateScheme("tokens", "yxyx", None, 1024, "<loc{:04d}>")),
    )
}

#: The convention of a model family, by a part of its ``model_type`` or of its name on the hub; the longest
#: part decides.
FAMILIES = {
    "glm4v": "thousandths",
    "internvl": "thousandths",
    "llava": "unit",
    "paligemma": "paligemma",
    "qwen2_5_vl": "resized-pixels",
    "qwen2_vl": "thousandths",
    "qwen3_5": "thousandths",
    "qwen3_vl": "thousandths",
}


def choose_convention(name: str | None, model: str | None) -> Convention:
    """Finds the convention of a name or of a model; by default unit decimals.

    Args:
        name: name of a convention.
        model: folder of a model, or its name on the hub, such as "Qwen/Qwen2.5-VL-7B-Instruct".

    Raises:
        DataError: both are given, the name is unknown, or the convention of the model is unknown.
    """
    if name and model:
        raise DataError("--coordinates and --for both choose coordinates", hint="give one of them")
    if model:
        found = convention_of(model)
        if found is None:
            raise DataError(
                f"{model}: it is not known how this model reads coordinates",
                hint=f"give --coordinates, one of {', '.join(CONVENTIONS)}",
            )
        return found
    chosen = name or "unit"
    if chosen not in CONVENTIONS:
        raise DataError(f"unknown coordinates {chosen!r}", hint=did_you_mean(chosen, CONVENTIONS))
    return CONVENTIONS[chosen]


def convention_of(model: str) -> Convention | None:
    """Finds the convention of a model, by its folder or its name on the hub; None where it is not known."""
    folder = Path(model)
    if scheme := scheme_in(folder):  # a model that vila2 trained says how it writes places
        return _of_scheme(f"those of {folder.name}", scheme)
    family = _json(folder / "config.json").get("model_type", "") if folder.is_dir() else model
    spelled = re.sub(r"[^a-z0-9]+", "_", str(family).lower())
    found = [known for known in FAMILIES if known in spelled]
    if not found:
        return None
    chosen = CONVENTIONS[FAMILIES[max(found, key=len)]]
    if chosen.name != "resized-pixels" or not folder.is_dir():
        return chosen
    fewest, most = _pixel_limits(_json(folder / "preprocessor_config.json"))
    return _in_pixels(chosen.name, lambda size: resized_by_qwen(size, fewest, most))


def _pixel_limits(settings: dict[str, Any]) -> tuple[int, int]:
    """Reads the limits of a processor's settings, in their older or newer form."""
    size = settings.get("size") or {}
    fewest = settings.get("min_pixels") or size.get("shortest_edge") or _FEWEST
    most = settings.get("max_pixels") or size.get("longest_edge") or _MOST
    return int(fewest), int(most)


def _json(file: Path) -> dict[str, Any]:
    """Reads an object of a model's folder; an absent file holds nothing."""
    return read_json(file, hint="fetch the model again") if file.is_file() else {}
