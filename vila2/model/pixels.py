"""Makes the pixels of images several times as fast as transformers' Pillow backend, and nearly equal to its.

torch resizes bytes with the same filters as Pillow, and needs a third of its time. Pixels differ by at most
:data:`LARGEST_DIFFERENCE` gray levels of 255, because torch rounds its weights to 16 bits. Normalization
follows at the end, on all images at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy
import torch
from PIL import Image
from torch.nn.functional import interpolate
from transformers.image_processing_backends import PilBackend

from vila2.model.tiling import Grid, Tiling

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Largest difference to Pillow's pixels, in gray levels.
LARGEST_DIFFERENCE = 2

_MODES = {Image.Resampling.BILINEAR: "bilinear", Image.Resampling.BICUBIC: "bicubic"}
# An image processor that does one of these in its own way is left to do so.
_STEPS = ("preprocess", "_preprocess", "process_image", "resize", "rescale", "normalize")


@dataclass(frozen=True, slots=True)
class Preparation:
    """What an image processor does with images, where it is no more than this.

    Attributes:
        size: height and width that it gives every image; None where it does so by cropping.
        resample: filter with which it resizes.
        scale: factor of the bytes, such as 1/255.
        mean: value that is then subtracted from each channel.
        std: value by which each channel is then divided.
    """

    size: tuple[int, int] | None
    resample: Image.Resampling
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, image_processor: Any) -> Preparation | None:
        """Reads what an image processor does; None where it does something else."""
        kind = type(image_processor)
        if (
            not issubclass(kind, PilBackend)
            or any(getattr(kind, name) is not getattr(PilBackend, name) for name in _STEPS)
            or any(getattr(image_processor, name, None) for name in ("do_pad", "do_grayscale"))
            or image_processor.resample not in _MODES
        ):
            return None
        size = {name: value for name, value in dict(image_processor.size or {}).items() if value}
        cropped = getattr(image_processor, "do_center_crop", None)
        fixed = image_processor.do_resize and not cropped and size.keys() == {"height", "width"}
        normalized = image_processor.do_normalize
        return cls(
            (size["height"], size["width"]) if fixed else None,
            Image.Resampling(image_processor.resample),
            image_processor.rescale_factor if image_processor.do_rescale else 1.0,
            _three(image_processor.image_mean if normalized else 0.0),
            _three(image_processor.image_std if normalized else 1.0),
        )

    def pixels(self, images: Sequence[Image.Image], grids: Sequence[Grid], tiling: Tiling) -> torch.Tensor:
        """Makes the pixels of images.

        Args:
            images: images in RGB.
            grids: rows and columns of tiles of each image.
            tiling: how images become tiles.

        Returns:
            Pixel values [tiles of all images, 3, height, width].
        """
        height, width = tiling.image_size
        values = torch.empty(sum(map(tiling.tiles, grids)), 3, height, width)
        done = 0
        for data, grid in zip(map(as_bytes, images), grids, strict=True):
            for rows, columns in tiling.levels(grid):
                whole = resized(data, (rows * height, columns * width), self.resample)
                values[done : done + rows * columns] = _cut(whole, (rows, columns))
                done += rows * columns
        mean, std = (torch.tensor(three).view(3, 1, 1) for three in (self.mean, self.std))
        return values.mul_(self.scale).sub_(mean).div_(std)


def as_bytes(image: Image.Image) -> torch.Tensor:
    """The bytes [1, 3, height, width] of an RGB image."""
    array: NDArray[numpy.uint8] = numpy.array(image)  # a copy, because torch wants to own what it writes to
    return torch.from_numpy(array).permute(2, 0, 1)[None]


def resized(image: torch.Tensor, size: tuple[int, int], resample: Image.Resampling) -> torch.Tensor:
    """Resizes the bytes of an image as Pillow does.

    Args:
        image: bytes [1, 3, height, width].
        size: new height and width.
        resample: bilinear or bicubic.

    Returns:
        Bytes [1, 3, height, width], at most :data:`LARGEST_DIFFERENCE` away from Pillow's.
    """
    mode = _MODES[resample]
    height, width = image.shape[-2:]
    # Each of the two passes cuts values off at 0 and 255, so their order matters. torch's is rows first.
    if _columns_first() and height > size[0] and height - size[0] > 2 * (width - size[1]):
        image = interpolate(image, (size[0], width), mode=mode, antialias=True)
    return interpolate(image, size, mode=mode, antialias=True)


@cache
def _columns_first() -> bool:
    """Whether this Pillow resizes the columns first where that is cheaper, as its newer versions do."""
    edges = Image.fromarray(numpy.tile(numpy.array([[0, 255, 255], [255, 0, 0]], numpy.uint8), (20, 3)))
    filter_ = Image.Resampling.BICUBIC
    direct = edges.resize((13, 13), filter_)
    return direct.tobytes() == edges.resize((9, 13), filter_).resize((13, 13), filter_).tobytes()


def _cut(whole: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Cuts the bytes of an image into tiles [rows * columns, 3, height, width], row by row."""
    cells: torch.Tensor = whole[0].unflatten(2, (grid[1], -1)).unflatten(1, (grid[0], -1))
    return cells.permute(1, 3, 0, 2, 4).flatten(0, 1)  # from [3, rows, height, columns, width]


def _three(values: float | Sequence[float]) -> tuple[float, ...]:
    return (float(values),) * 3 if isinstance(values, int | float) else tuple(float(one) for one in values)
