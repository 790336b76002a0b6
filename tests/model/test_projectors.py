"""Projectors: their layout, and how many tokens they make."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vila2.errors import ModelError
from vila2.model.projectors import PROJECTORS, build_projector, join_blocks, projected_tokens


@pytest.mark.parametrize("name", PROJECTORS)
@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9))
def test_a_projector_makes_as_many_tokens_as_it_says(name: str, rows: int, columns: int) -> None:
    tokens = build_projector(name, 4, 6)(torch.randn(2, rows * columns, 4), rows, columns)
    assert tokens.shape == (2, projected_tokens(name, rows, columns), 6)


def test_the_papers_image_becomes_196_tokens() -> None:
    assert projected_tokens("mlp_downsample", 384 // 14, 384 // 14) == 196
    assert projected_tokens("mlp_downsample", 224 // 14, 224 // 14) == 64


@settings(max_examples=25, deadline=None)
@given(side=st.integers(1, 9))
def test_blocks_lie_as_in_the_published_checkpoints(side: int) -> None:
    features = torch.randn(2, side * side, 5)
    assert torch.equal(join_blocks(features, side, side), _blocks_of_vila(features, side))


def _blocks_of_vila(features: torch.Tensor, side: int) -> torch.Tensor:
    """What VILA-1.5 computes, written down plainly: token by token, corner by corner."""
    grid = torch.zeros(len(features), side + 1, side + 1, features.shape[-1])
    grid[:, :side, :side] = features.view(len(features), side, side, -1)
    half = (side + 1) // 2
    tokens = [
        torch.cat(
            [grid[:, 2 * row + down, 2 * column + right] for down in (0, 1) for right in (0, 1)], dim=-1
        )
        for column in range(half)
        for row in range(half)
    ]
    return torch.stack(tokens, dim=1)


def test_an_unknown_projector_is_named_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"mlp_upsample.*\n.*mlp_downsample"):
        build_projector("mlp_upsample", 4, 6)
