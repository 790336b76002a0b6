"""From a sheet to a photograph of it: ground, rotation, perspective, blur, noise and JPEG.

The texts keep their places through all of them.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from random import Random

import numpy as np
from PIL import Image, ImageFilter
from vila2.plugin import DataError

from vila2_ocr.documents.sheet import Sheet

#: Space around the page on the ground, as a share of its longer side.
_MARGIN = 0.04


@dataclass(frozen=True, slots=True)
class Effects:
    """How strong each effect may be; see :func:`vila2_ocr.documents.read`.

    Raises:
        DataError: a value is out of its range.
    """

    rotation: float = 0.0
    perspective: float = 0.0
    texture: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    jpeg: tuple[int, int] = (95, 95)

    def __post_init__(self) -> None:
        limits = {"rotation": 30.0, "perspective": 0.2, "texture": 1.0, "noise": 64.0, "blur": 8.0}
        for name, most in limits.items():
            if not 0 <= getattr(self, name) <= most:
                raise DataError(f"documents: {name}={getattr(self, name)}", hint=f"use 0 to {most:g}")
        if len(self.jpeg) != 2 or not 1 <= self.jpeg[0] <= self.jpeg[1] <= 100:
            raise DataError(f"documents: jpeg={self.jpeg}", hint="use two qualities, for example [50, 95]")


def photographed(
    sheet: Sheet, effects: Effects, random: Random
) -> tuple[bytes, list[np.ndarray], tuple[int, int]]:
    """The JPEG file, the corners [4, 2] of every text in pixels, and the width and height."""
    corners = _page_corners(sheet, effects, random)
    margin = _MARGIN * max(sheet.width, sheet.height)
    corners += margin - corners.min(axis=0)
    width, height = (math.ceil(side + margin) for side in corners.max(axis=0))
    page = np.array([(0, 0), (sheet.width, 0), (sheet.width, sheet.height), (0, sheet.height)], float)
    forward, backward = homography(page, corners), homography(corners, page)
    ground = _ground(width, height, effects.texture, random)
    coefficients = (backward / backward[2, 2]).ravel()[:8].tolist()
    size = (width, height)
    shown = sheet.image.transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)
    mask = Image.new("L", sheet.image.size, 255)
    mask = mask.transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR)
    image = Image.composite(shown, ground, mask)
    if effects.blur:
        image = image.filter(ImageFilter.GaussianBlur(effects.blur * random.random()))
    image = _noisy(image, effects.noise * random.random(), random)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=random.randint(*effects.jpeg))
    outlines = [moved(np.array(drawn.corners, float), forward) for drawn in sheet.drawn]
    return file.getvalue(), outlines, size


def homography(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The 3 x 3 matrix that takes four points [4, 2] to four others."""
    rows, values = [], []
    for (x, y), (u, v) in zip(start, end, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(rows), np.array(values)), 1.0).reshape(3, 3)


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points [n, 2] through a homography."""
    projected = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    plane: np.ndarray = projected[:, :2] / projected[:, 2:]
    return plane


def _page_corners(sheet: Sheet, effects: Effects, random: Random) -> np.ndarray:
    """The places of the corners of the page, [4, 2], anywhere in the plane."""
    angle = math.radians(random.uniform(-effects.rotation, effects.rotation))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    sides = np.array([sheet.width, sheet.height], float)
    unit = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
    shifts = [[random.uniform(-1, 1) * effects.perspective for _ in range(2)] for _ in range(4)]
    corners: np.ndarray = ((unit + np.array(shifts)) * sides) @ turn.T
    return corners


def _ground(width: int, height: int, texture: float, random: Random) -> Image.Image:
    """The ground under the page: one color, with smooth patches where there is texture."""
    colour = np.array([random.randint(60, 200) for _ in range(3)], float)
    coarse = np.random.Generator(np.random.PCG64(random.getrandbits(64))).normal(size=(12, 12))
    smooth = Image.fromarray(coarse.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    pixels = colour + 60 * texture * np.asarray(smooth)[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _noisy(image: Image.Image, deviation: float, random: Random) -> Image.Image:
    if not deviation:
        return image
    noise = np.random.Generator(np.random.PCG64(random.getrandbits(64)))
    pixels = np.asarray(image, np.float32)
    pixels = pixels + noise.standard_normal(pixels.shape, np.float32) * np.float32(deviation)
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))
