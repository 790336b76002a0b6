"""How the reader of an export writes boxes and points: unit decimals, thousandths, pixels, location tokens.

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
from vila2.data.coordinates import CoordinateScheme, Size
from vila2.data.parsing import read_json
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
    """

    name: str
    write: Callable[[Box | Point, Size | None], str]


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


def _pixels(resize: Callable[[Size], Size]) -> Callable[[Box | Point, Size | None], str]:
    def write(place: Box | Point, size: Size | None) -> str:
        if size is None:
            raise DataError(
                "a place in pixels needs a sample with exactly one image",
                hint="export it with --coordinates unit",
            )
        sides = resize(size)
        return "[" + ", ".join(str(round(value * sides[n % 2])) for n, value in enumerate(place)) + "]"

    return write


#: The conventions by name.
CONVENTIONS: dict[str, Convention] = {
    found.name: found
    for found in (
        Convention("unit", CoordinateScheme().render),
        Convention("thousandths", CoordinateScheme(decimals=None).render),
        Convention("pixels", _pixels(lambda size: size)),
        Convention("resized-pixels", _pixels(resized_by_qwen)),
        Convention("tokens", CoordinateScheme("tokens").render),
        Convention("paligemma", CoordinateScheme("tokens", "yxyx", None, 1024, "<loc{:04d}>").render),
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
        return _of_model(model)
    chosen = name or "unit"
    if chosen not in CONVENTIONS:
        raise DataError(f"unknown coordinates {chosen!r}", hint=did_you_mean(chosen, CONVENTIONS))
    return CONVENTIONS[chosen]


def _of_model(model: str) -> Convention:
    folder = Path(model)
    if scheme := scheme_in(folder):  # a model that vila2 trained says how it writes places
        return Convention(f"those of {folder.name}", scheme.render)
    family = _json(folder / "config.json").get("model_type", "") if folder.is_dir() else model
    spelled = re.sub(r"[^a-z0-9]+", "_", str(family).lower())
    found = [known for known in FAMILIES if known in spelled]
    if not found:
        raise DataError(
            f"{model}: it is not known how this model reads coordinates",
            hint=f"give --coordinates, one of {', '.join(CONVENTIONS)}",
        )
    chosen = CONVENTIONS[FAMILIES[max(found, key=len)]]
    if chosen.name != "resized-pixels" or not folder.is_dir():
        return chosen
    fewest, most = _pixel_limits(_json(folder / "preprocessor_config.json"))
    return Convention(chosen.name, _pixels(lambda size: resized_by_qwen(size, fewest, most)))


def _pixel_limits(settings: dict[str, Any]) -> tuple[int, int]:
    """Reads the limits of a processor's settings, in their older or newer form."""
    size = settings.get("size") or {}
    fewest = settings.get("min_pixels") or size.get("shortest_edge") or _FEWEST
    most = settings.get("max_pixels") or size.get("longest_edge") or _MOST
    return int(fewest), int(most)


def _json(file: Path) -> dict[str, Any]:
    """Reads an object of a model's folder; an absent file holds nothing."""
    return read_json(file, hint="fetch the model again") if file.is_file() else {}
