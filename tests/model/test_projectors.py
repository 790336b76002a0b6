"""Projectors: their layout, and how many tokens they make."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st

from vila2.errors import ModelError
from vila2.model.projectors import PROJECTORS, build_projector, join_blocks, projector_class


@pytest.mark.parametrize("name", PROJECTORS)
@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9))
def test_a_projector_makes_as_many_tokens_as_it_says(name: str, rows: int, columns: int) -> None:
    tokens = build_projector(name, 4, 6)(torch.randn(2, rows * columns, 4), rows, columns)
    down, across = projector_class(name).grid(rows, columns)
    assert tokens.shape == (2, down * across, 6)


def test_the_papers_image_becomes_196_tokens() -> None:
    assert projector_class("mlp_downsample").grid(384 // 14, 384 // 14) == (14, 14)
    assert projector_class("mlp_downsample").grid(224 // 14, 224 // 14) == (8, 8)
    assert projector_class("mlp_downsample_3x3_fix").grid(448 // 14, 448 // 14) == (11, 11)


@settings(max_examples=25, deadline=None)
@given(side=st.integers(1, 9))
def test_blocks_lie_as_in_the_published_checkpoints(side: int) -> None:
    features = torch.randn(2, side * side, 5)
    by_column = {(row, column): _block(features, side, 2, row, column) for column, row in _places(side, 2)}
    joined = join_blocks(features, side, side, 2, by_column=True)
    assert torch.equal(joined, torch.stack(list(by_column.values()), 1))
    for block in (2, 3):  # NVILA's code: row by row
        by_row = [_block(features, side, block, row, column) for row, column in _places(side, block)]
        assert torch.equal(join_blocks(features, side, side, block), torch.stack(by_row, 1))


def _places(side: int, block: int) -> list[tuple[int, int]]:
    count = -(-side // block)
    return [(first, second) for first in range(count) for second in range(count)]


def _block(features: torch.Tensor, side: int, block: int, row: int, column: int) -> torch.Tensor:
    """One token, written down plainly: corner by corner, zeros beyond the edge."""
    grid = torch.zeros(len(features), side + block, side + block, features.shape[-1])
    grid[:, :side, :side] = features.view(len(features), side, side, -1)
    corners = [(down, right) for down in range(block) for right in range(block)]
    return torch.cat([grid[:, block * row + down, block * column + right] for down, right in corners], dim=-1)


def test_the_transformer_lets_patches_see_each_other() -> None:
    features = torch.randn(1, 9, 8)
    moved = features.clone()
    moved[:, 0] = torch.randn(8)
    for name, sees in (("transformer", True), ("mlp2x_gelu", False)):
        projector = build_projector(name, 8, 6)
        difference = (projector(features, 3, 3) - projector(moved, 3, 3)).abs().amax(-1)[0]
        assert bool((difference[1:] > 1e-6).all()) is sees and difference[0] > 1e-6


def test_an_unknown_projector_is_named_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"mlp_upsample.*\n.*mlp_downsample"):
        build_projector("mlp_upsample", 4, 6)
