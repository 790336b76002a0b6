"""Tiles: which grid an image gets, how many tiles and tokens that makes, and what the tiles show."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st
from PIL import Image

from tests.model.tiny_models import picture
from vila2.errors import ModelError
from vila2.model.multiscale import join_scales, put_together, take_apart
from vila2.model.tiling import Tiling


def tiling(
    max_tiles: int = 1, scales: tuple[int, ...] = (1,), projector: str = "linear", side: int = 8
) -> Tiling:
    return Tiling(projector, (side, side), (2, 2), max_tiles, scales)


@pytest.mark.parametrize(
    ("height", "width", "most", "grid"),
    [
        (448, 448, 12, (1, 1)),
        (448, 896, 12, (1, 2)),
        (896, 448, 12, (2, 1)),
        (800, 800, 12, (2, 2)),
        (4000, 4000, 12, (3, 3)),
        (800, 1300, 12, (2, 3)),
        (800, 1300, 15, (3, 5)),  # 1.625 is nearer to 5:3 than to 3:2
        (300, 3000, 6, (1, 6)),
    ],
)
def test_the_grid_follows_shape_and_size(height: int, width: int, most: int, grid: tuple[int, int]) -> None:
    assert Tiling("linear", (448, 448), (14, 14), most).grid(height, width) == grid


SETTINGS = st.sampled_from(
    [(1, (1,)), (4, (1,)), (12, (1,)), (1, (1, 2)), (1, (1, 3)), (12, (1, 2, 3)), (4, (1, 2))]
)


@settings(max_examples=40, deadline=None)
@given(setting=SETTINGS, height=st.integers(1, 60), width=st.integers(1, 60))
def test_there_are_as_many_tiles_as_counted(setting, height: int, width: int) -> None:
    one = tiling(*setting)
    grid = one.grid(height, width)
    tiles = one.cut(Image.new("RGB", (width, height)), grid)
    assert len(tiles) == one.tiles(grid) and {tile.size for tile in tiles} == {(8, 8)}
    features = torch.randn(len(tiles), 16, 3)
    if one.multiscale:
        joined = join_scales(features, one, [grid])
        assert joined.shape == (one.projected_tiles(grid), 16, 3 * len(one.s2_scales))
        features = joined
    assert one.tokens(grid) == features.shape[0] * features.shape[1]


def test_tiles_are_the_image_row_by_row_and_then_the_whole() -> None:
    image = picture(1, (16, 24))
    one = tiling(max_tiles=6)
    assert one.grid(24, 16) == (3, 2)
    tiles = one.cut(image, (3, 2))
    again = Image.new("RGB", (16, 24))
    for number, tile in enumerate(tiles[:6]):
        again.paste(tile, (number % 2 * 8, number // 2 * 8))
    assert again.tobytes() == image.tobytes()
    assert tiles[6].tobytes() == image.resize((8, 8)).tobytes()


def test_a_small_image_stays_one_tile() -> None:
    assert tiling(max_tiles=6).tiles((1, 1)) == 1


@settings(max_examples=20, deadline=None)
@given(
    grid=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    inside=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_a_map_taken_apart_is_the_tiles_it_was_made_of(grid, inside) -> None:
    tiles = torch.randn(grid[0] * grid[1], inside[0] * inside[1], 2)
    whole = put_together(tiles, grid, inside)
    assert whole.shape == (1, grid[0] * inside[0], grid[1] * inside[1], 2)
    row, column = grid[0] - 1, 0
    cell = tiles[row * grid[1] + column].view(*inside, 2)[0, -1]
    assert torch.equal(whole[0, row * inside[0], column * inside[1] + inside[1] - 1], cell)
    assert torch.equal(take_apart(whole, grid), tiles)


def test_s2_averages_the_higher_resolution_and_stacks_it_behind_the_lower() -> None:
    low, high = torch.randn(1, 4, 1), torch.randn(4, 4, 1)  # tiles of 2 x 2 patches
    one = Tiling("linear", (2, 2), (1, 1), 1, (1, 2))
    joined = join_scales(torch.cat([low, high]), one, [(2, 2)])
    assert torch.equal(joined[..., 0], low[..., 0])
    # Each of the four high tiles covers one patch of the low one.
    torch.testing.assert_close(joined[0, :, 1], high[..., 0].mean(1))


def test_dynamic_s2_repeats_the_lower_resolution_under_the_higher() -> None:
    low, high = torch.randn(1, 4, 1), torch.randn(8, 4, 1)
    one = Tiling("linear", (2, 2), (1, 1), 8, (1, 2))
    joined = join_scales(torch.cat([low, high]), one, [(2, 4)])
    assert torch.equal(joined[..., 1], high[..., 0])
    grid = low[0, :, 0].view(2, 2)
    for tile in range(8):  # one low patch lies under 1 x 2 high tiles
        assert (joined[tile, :, 0] == grid[tile // 4, tile % 4 // 2]).all()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"scales": (2, 3)}, "do not increase from 1"),
        ({"scales": (1, 3, 2)}, "do not increase from 1"),
        ({"scales": (1, 2, 3), "max_tiles": 6}, "at least 9"),
        ({"scales": (1, 2), "max_tiles": 6, "projector": "mlp_downsample"}, "mlp_downsample_2x2_fix"),
    ],
)
def test_settings_that_do_not_go_together(settings: dict, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        tiling(**settings)
