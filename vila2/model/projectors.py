"""Projectors map a grid of vision features to the language model's token embeddings.

A projector is a module with ``forward(features [B, rows * columns, C], rows, columns)``, which returns
[B, tokens, hidden size], and ``grid(rows, columns)``, which returns the rows and columns of these tokens.
"""

from __future__ import annotations

import torch
from torch import nn

from vila2.errors import ModelError


class Projector(nn.Module):
    """Base class: applies ``layers`` to every patch, or to every block of ``side`` x ``side`` patches."""

    side = 1
    layers: nn.Module

    def forward(self, features: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        projected: torch.Tensor = self.layers(features)
        return projected

    @classmethod
    def grid(cls, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns of tokens for ``rows`` x ``columns`` patches; incomplete blocks are padded."""
        return -(-rows // cls.side), -(-columns // cls.side)


class Linear(Projector):
    """Applies one linear layer to each patch."""

    def __init__(self, vision_size: int, text_size: int) -> None:
        super().__init__()
        self.layers = nn.Linear(vision_size, text_size)


class Mlp(Projector):
    """Applies two linear layers with a GELU between them to each patch (LLaVA-1.5)."""

    def __init__(self, vision_size: int, text_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(vision_size, text_size), nn.GELU(), nn.Linear(text_size, text_size)
        )


class Transformer(Projector):
    """Applies a Transformer block to the patches of an image, then one linear layer (VILA, section 3.1)."""

    def __init__(self, vision_size: int, text_size: int) -> None:
        super().__init__()
        # The largest number of heads that divides the channels and leaves at least 64 to each.
        self.heads = next(n for n in range(max(1, vision_size // 64), 0, -1) if vision_size % n == 0)
        self.attention_norm = nn.LayerNorm(vision_size)
        self.query_key_value = nn.Linear(vision_size, 3 * vision_size)
        self.attention_output = nn.Linear(vision_size, vision_size)
        self.mlp = nn.Sequential(
            nn.LayerNorm(vision_size),
            nn.Linear(vision_size, 4 * vision_size),
            nn.GELU(),
            nn.Linear(4 * vision_size, vision_size),
        )
        self.layers = nn.Linear(vision_size, text_size)

    def forward(self, features: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        joined = self.query_key_value(self.attention_norm(features)).unflatten(2, (3, self.heads, -1))
        query, key, value = joined.permute(2, 0, 3, 1, 4)  # each [B, heads, patches, C / heads]
        attended = nn.functional.scaled_dot_product_attention(query, key, value)
        features = features + self.attention_output(attended.transpose(1, 2).flatten(2))
        projected: torch.Tensor = self.layers(features + self.mlp(features))
        return projected


class MlpDownsample2x2(Projector):
    """Joins blocks of 2x2 patches, then applies an MLP: a quarter of the tokens, row by row (NVILA).

    The default of a recipe. An odd side is padded with zeros: 27x27 patches of 384 px at patch size 14 become
    14x14 = 196 tokens.
    """

    side = 2
    by_column = False

    def __init__(self, vision_size: int, text_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(4 * vision_size),
            nn.Linear(4 * vision_size, text_size),
            nn.GELU(),
            nn.Linear(text_size, text_size),
        )

    def forward(self, features: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        blocks = join_blocks(features, rows, columns, self.side, by_column=self.by_column)
        projected: torch.Tensor = self.layers(blocks)
        return projected


class MlpDownsample(MlpDownsample2x2):
    """Does the same, with the tokens column by column, as VILA-1.5's code does by mistake.

    Its published checkpoints were trained with this order, so a converted one keeps it. A language model that
    has learned to read an image row by row reads it transposed through this projector.
    """

    by_column = True


class MlpDownsample3x3(MlpDownsample2x2):
    """Joins blocks of 3x3 patches, then applies a deeper MLP: a ninth of the tokens, row by row (NVILA)."""

    side = 3

    def __init__(self, vision_size: int, text_size: int) -> None:
        Projector.__init__(self)
        self.layers = nn.Sequential(
            nn.LayerNorm(9 * vision_size),
            nn.Linear(9 * vision_size, 3 * vision_size),
            nn.GELU(),
            nn.LayerNorm(3 * vision_size),
            nn.Linear(3 * vision_size, text_size),
            nn.GELU(),
            nn.Linear(text_size, text_size),
        )


def join_blocks(
    features: torch.Tensor, rows: int, columns: int, side: int, *, by_column: bool = False
) -> torch.Tensor:
    """Concatenates the channels of every block of ``side`` x ``side`` patches.

    Args:
        features: features [B, rows * columns, C], row-major.
        rows, columns: shape of the grid in patches.
        side: side of a block in patches; incomplete blocks at the right and at the bottom are padded with
            zeros.
        by_column: whether the blocks come column by column instead of row by row.

    Returns:
        [B, ceil(rows / side) * ceil(columns / side), side² C]; the patches of a block come row by row.
    """
    grid: torch.Tensor = features.unflatten(1, (rows, columns))
    grid = nn.functional.pad(grid, (0, 0, 0, -columns % side, 0, -rows % side))
    # [B, down, side, across, side, C]
    blocks: torch.Tensor = grid.unflatten(2, (-1, side)).unflatten(1, (-1, side))
    order = (0, 3, 1, 2, 4, 5) if by_column else (0, 1, 3, 2, 4, 5)
    return blocks.permute(order).flatten(3).flatten(1, 2)


#: Projectors by their names in VILA's code.
PROJECTORS: dict[str, type[Projector]] = {
    "linear": Linear,
    "mlp2x_gelu": Mlp,
    "mlp_downsample": MlpDownsample,
    "mlp_downsample_2x2_fix": MlpDownsample2x2,
    "mlp_downsample_3x3_fix": MlpDownsample3x3,
    "transformer": Transformer,
}


def projector_class(name: str) -> type[Projector]:
    """Finds a projector by name.

    Raises:
        ModelError: no projector of that name.
    """
    if name not in PROJECTORS:
        raise ModelError(f"unknown projector {name!r}", hint=f"use one of {', '.join(PROJECTORS)}")
    return PROJECTORS[name]


def build_projector(name: str, vision_size: int, text_size: int) -> Projector:
    """Makes a projector with fresh weights.

    Args:
        name: name in :data:`PROJECTORS`.
        vision_size: channels of the vision features.
        text_size: hidden size of the language model.

    Raises:
        ModelError: no projector of that name.
    """
    return projector_class(name)(vision_size, text_size)
