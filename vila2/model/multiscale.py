"""S²: the features of an image at several resolutions, joined channel by channel (Shi et al. 2024; VILA-1.5, NVILA)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from vila2.errors import ModelError
from vila2.model.tiling import Grid, Tiling


def grids_of(tiling: Tiling, tiles: int, image_grids: torch.Tensor | None) -> list[Grid]:
    """The grid of every image that these tiles belong to.

    Args:
        tiles: how many there are.
        image_grids: [images, 2] for dynamic S², whose grids vary; None where all are alike.

    Raises:
        ModelError: tiles and grids do not fit each other.
    """
    if tiling.dynamic_scales and image_grids is None:
        raise ModelError("dynamic S2 needs image_grids", hint="pass on all that the processor gives")
    if tiling.dynamic_scales:
        grids = [(rows, columns) for rows, columns in image_grids.tolist()]
    else:
        same = tiling.s2_scales[-1], tiling.s2_scales[-1]
        grids = [same] * (tiles // tiling.tiles(same))
    needed = sum(tiling.tiles(grid) for grid in grids)
    if needed != tiles:
        raise ModelError(
            f"{len(grids)} images at scales {list(tiling.s2_scales)} need {needed} tiles, but there are {tiles}",
            hint="make text and images with the model's own processor",
        )
    return grids


def join_scales(features: torch.Tensor, tiling: Tiling, grids: Sequence[Grid]) -> torch.Tensor:
    """Joins every image's resolutions.

    Each resolution's tiles are put together to one map, all maps are averaged or repeated to the size of the
    first (S²) or the last one (dynamic S²), and stacked along their channels.

    Args:
        features: [tiles of all images, rows * columns, C], in the order of :meth:`Tiling.cut`.
        grids: of every image.

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
        # Averaged in float32: areas do not divide evenly, and half precision would round each share.
        resized = [
            nn.functional.interpolate(one.float().movedim(-1, 1), size=size, mode="area") for one in maps
        ]
        joined.append(take_apart(torch.cat(resized, 1).movedim(1, -1).to(features.dtype), out))
    return torch.cat(joined)


def put_together(tiles: torch.Tensor, grid: Grid, inside: Grid) -> torch.Tensor:
    """Tiles [rows * columns, h * w, C] of a grid of h x w as one map [1, rows * h, columns * w, C]."""
    cells = tiles.unflatten(1, inside).unflatten(0, grid)  # [rows, columns, h, w, C]
    return cells.transpose(1, 2).flatten(2, 3).flatten(0, 1)[None]


def take_apart(whole: torch.Tensor, grid: Grid) -> torch.Tensor:
    """The reverse: a map [1, rows * h, columns * w, C] as tiles [rows * columns, h * w, C]."""
    cells = whole[0].unflatten(1, (grid[1], -1)).unflatten(0, (grid[0], -1))  # [rows, h, columns, w, C]
    return cells.transpose(1, 2).flatten(2, 3).flatten(0, 1)
