"""Computes how an image becomes tiles, and how many tokens they become. No other place counts them.

By default an image is one tile. ``max_tiles`` cuts a large image into tiles by its aspect ratio, and adds the
whole image as a last tile (InternVL, NVILA-Lite). ``s2_scales`` shows it at several resolutions, whose
features are joined along their channels (S², Shi et al. 2024; VILA-1.5). Both together are dynamic S²
(NVILA), whose highest resolution follows the aspect ratio.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

from vila2.errors import ModelError
from vila2.model.projectors import projector_class

if TYPE_CHECKING:
    from PIL.Image import Image

Grid = tuple[int, int]  # rows and columns of tiles


@dataclass(frozen=True)
class Tiling:
    """The settings that model and processor share.

    Attributes:
        projector: name in :data:`vila2.model.projectors.PROJECTORS`.
        image_size: height and width of one tile in pixels.
        patch_size: height and width of one patch in pixels.
        max_tiles: largest number of tiles per image, without the small copy of the whole; 1 cuts nothing.
        s2_scales: resolutions as multiples of ``image_size``, increasing from 1.

    Raises:
        ModelError: settings that contradict each other.
    """

    projector: str
    image_size: tuple[int, int]
    patch_size: tuple[int, int]
    max_tiles: int = 1
    s2_scales: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in zip(self.s2_scales, self.s2_scales[1:], strict=False))
        if not self.s2_scales or self.s2_scales[0] != 1 or not rising:
            raise ModelError(
                f"s2_scales {list(self.s2_scales)} do not increase from 1",
                hint="give multiples of the image size, such as [1, 2, 3]",
            )
        if self.max_tiles < 1 or 1 < self.max_tiles < self.s2_scales[-1] ** 2:
            raise ModelError(
                f"max_tiles {self.max_tiles} is less than scale {self.s2_scales[-1]} needs",
                hint=f"set max_tiles to 1 (square scales), or to at least {self.s2_scales[-1] ** 2}",
            )
        if self.dynamic_scales and getattr(projector_class(self.projector), "by_column", False):
            raise ModelError(
                f"dynamic S2 joins tiles row by row, and projector {self.projector} writes column by column",
                hint="use projector mlp_downsample_2x2_fix",
            )

    @property
    def cuts(self) -> bool:
        """Whether an image can become more than one tile."""
        return self.max_tiles > 1 or self.multiscale

    @property
    def multiscale(self) -> bool:
        """Whether features of several resolutions are joined."""
        return len(self.s2_scales) > 1

    @property
    def dynamic_scales(self) -> bool:
        """Whether the highest of several resolutions follows the aspect ratio."""
        return self.multiscale and self.max_tiles > 1

    @property
    def patches(self) -> Grid:
        """Rows and columns of the patches of one tile."""
        return self.image_size[0] // self.patch_size[0], self.image_size[1] // self.patch_size[1]

    @property
    def tokens_per_tile(self) -> int:
        """Number of tokens that the projector makes of one tile."""
        rows, columns = projector_class(self.projector).grid(*self.patches)
        return rows * columns

    def grid(self, height: int, width: int) -> Grid:
        """Rows and columns of tiles at the highest resolution, for an image of this size in pixels.

        The grid nearest to the image's aspect ratio is taken. Among equally near ones it is the largest of
        which the image has more than half the pixels, otherwise the smallest (InternVL 1.5).
        """
        if self.max_tiles == 1:
            return self.s2_scales[-1], self.s2_scales[-1]
        tile = self.image_size[0] * self.image_size[1]
        aspect = (width / self.image_size[1]) / (height / self.image_size[0])
        nearest = min(abs(aspect - columns / rows) for rows, columns in self._grids)
        equals = [grid for grid in self._grids if abs(aspect - grid[1] / grid[0]) == nearest]
        filled = [grid for grid in equals if 2 * height * width > tile * grid[0] * grid[1]]
        return filled[-1] if filled else equals[0]

    @cached_property
    def _grids(self) -> list[Grid]:
        fewest, most = self.s2_scales[-1] ** 2, self.max_tiles
        sides = range(1, most + 1)
        found = [
            (rows, columns) for rows, columns in product(sides, sides) if fewest <= rows * columns <= most
        ]
        return sorted(found, key=lambda grid: grid[0] * grid[1])

    def levels(self, grid: Grid) -> list[Grid]:
        """The grids at which an image is shown, in the order of its tiles."""
        if self.multiscale:
            return [*((scale, scale) for scale in self.s2_scales[:-1]), grid]
        return [grid] if grid == (1, 1) else [grid, (1, 1)]

    def tiles(self, grid: Grid) -> int:
        """Number of tiles of an image with this grid."""
        return sum(rows * columns for rows, columns in self.levels(grid))

    def projected_tiles(self, grid: Grid) -> int:
        """Number of tiles of such an image that reach the projector."""
        if self.dynamic_scales:
            return grid[0] * grid[1]
        return 1 if self.multiscale else self.tiles(grid)

    def tokens(self, grid: Grid) -> int:
        """Number of tokens of such an image."""
        return self.projected_tiles(grid) * self.tokens_per_tile

    def cut(self, image: Image, grid: Grid, resample: Any = None) -> list[Image]:
        """Cuts an image into tiles of ``image_size``, row by row within each level."""
        height, width = self.image_size
        tiles = []
        for rows, columns in self.levels(grid):
            whole = image.resize((columns * width, rows * height), resample)
            tiles += [
                whole.crop((column * width, row * height, (column + 1) * width, (row + 1) * height))
                for row, column in product(range(rows), range(columns))
            ]
        return tiles
