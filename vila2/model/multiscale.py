"""S²: joins the features of an image at several resolutions along their channels.

See Shi et al. 2024; VILA-1.5 and NVILA use it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from vila2.errors import ModelError
from vila2.model.tiling import Grid, Tiling


def grids_of(tiling: Tiling, tiles: int, image_grids: torch.Tensor | None) -> list[Grid]:
    """The grid of every image that the tiles belong to.

    Args:
        tiling: tiling of the model.
        tiles: number of tiles of all images.
        image_grids: rows and columns [images, 2], for dynamic S² only, whose grids vary.

    Raises:
        ModelError: tiles and grids that do not fit each other.
    """
    if tiling.dynamic_scales:
        if image_grids is None:
            raise ModelError("dynamic S2 needs image_grids", hint="pass on all that the processor returns")
        grids = [(rows, columns) for rows, columns in image_grids.tolist()]
    else:
        same = tiling.s2_scales[-1], tiling.s2_scales[-1]
        grids = [same] * (tiles // tiling.tiles(same))
    needed = sum(tiling.tiles(grid) for grid in grids)
    if needed != tiles:
        raise ModelError(
            f"{len(grids)} images at scales {list(tiling.s2_scales)} need {needed} tiles,"
            f" but there are {tiles}",
            hint="make text and images with the model's own processor",
        )
    return grids


def join_scales(features: torch.Tensor, tiling: Tiling, grids: Sequence[Grid]) -> torch.Tensor:
    """Joins the resolutions of every image.

    The tiles of each resolution become one map. All maps are averaged or repeated to the size of the first
    (S²) or the last one (dynamic S²), and stacked along their channels.

    Args:
        features: features [tiles of all images, rows * columns, C], in the order of :meth:`Tiling.cut`.
        tiling: tiling of the model.
        grids: grid of every image.

    Returns:
        [projected tiles of all images, rows * columns, C * resolutions].
    """
    joined = []
    counts = [rows * columns for grid in grids for rows, columns in tiling.levels(grid)]
    pieces = iter(features.split(counts))
    for grid in grids:
        levels = tiling.levels(grid)
        maps = [put_together(next(pieces), level, tiling.patches) for level in levels]
        out = levels[-1] if tiling.dynamic_scales else levels[0]
        size = [tiling.patches[0] * out[0], tiling.patches[1] * out[1]]
        # In float32, since areas do not divide evenly and half precision would round each share.
        resized = [
            nn.functional.interpolate(one.float().movedim(-1, 1), size=size, mode="area") for one in maps
        ]
        joined.append(take_apart(torch.cat(resized, 1).movedim(1, -1).to(features.dtype), out))
    return torch.cat(joined)


def put_together(tiles: torch.Tensor, grid: Grid, inside: Grid) -> torch.Tensor:
    """Joins tiles [rows * columns, h * w, C] to one map [1, rows * h, columns * w, C]."""
    cells: torch.Tensor = tiles.unflatten(1, inside).unflatten(0, grid)  # [rows, columns, h, w, C]
    return cells.transpose(1, 2).flatten(2, 3).flatten(0, 1)[None]


def take_apart(whole: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Splits a map [1, rows * h, columns * w, C] into tiles [rows * columns, h * w, C]."""
    # [rows, h, columns, w, C]
    cells: torch.Tensor = whole[0].unflatten(1, (grid[1], -1)).unflatten(0, (grid[0], -1))
    return cells.transpose(1, 2).flatten(2, 3).flatten(0, 1)
