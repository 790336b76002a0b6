"""Projectors: from a grid of vision features to the language model's token embeddings.

A projector is a module with ``forward(features [B, rows * columns, C], rows, columns)`` giving
[B, tokens, hidden size], and a static ``tokens(rows, columns)`` that says how many.
"""

from __future__ import annotations

import torch
from torch import nn

from vila2.errors import ModelError


class Linear(nn.Module):
    """One linear layer per patch."""

    def __init__(self, vision_size: int, text_size: int) -> None:
        super().__init__()
        self.layers = nn.Linear(vision_size, text_size)

    def forward(self, features: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        return self.layers(features)

    @staticmethod
    def tokens(rows: int, columns: int) -> int:
        """Tokens of one image."""
        return rows * columns


class Mlp(Linear):
    """Two linear layers with a GELU between them, per patch (LLaVA-1.5)."""

    def __init__(self, vision_size: int, text_size: int) -> None:
        nn.Module.__init__(self)
        self.layers = nn.Sequential(
            nn.Linear(vision_size, text_size), nn.GELU(), nn.Linear(text_size, text_size)
        )


class MlpDownsample(nn.Module):
    """Joins blocks of 2x2 patches, then an MLP: a quarter of the tokens (VILA², section 3; VILA-1.5).

    An odd side is padded with zeros: 27x27 patches of 384 px at patch size 14 become 14x14 = 196 tokens.
    """

    def __init__(self, vision_size: int, text_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(4 * vision_size),
            nn.Linear(4 * vision_size, text_size),
            nn.GELU(),
            nn.Linear(text_size, text_size),
        )

    def forward(self, features: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        return self.layers(join_blocks(features, rows, columns))

    @staticmethod
    def tokens(rows: int, columns: int) -> int:
        """Tokens of one image."""
        return (rows + 1) // 2 * ((columns + 1) // 2)


def join_blocks(features: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Concatenates the channels of every 2x2 block of patches.

    Args:
        features: [B, rows * columns, C], row-major.

    Returns:
        [B, ceil(columns / 2) * ceil(rows / 2), 4C]. The blocks stand column by column, and within a block
        the channels in the order top left, top right, bottom left, bottom right: the layout of VILA's own
        code, on which its published checkpoints were trained.
    """
    batch, _, channels = features.shape
    grid = features.unflatten(1, (rows, columns))
    grid = nn.functional.pad(grid, (0, 0, 0, columns % 2, 0, rows % 2))
    blocks = grid.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # [B, rows / 2, 2, columns / 2, 2, C]
    return blocks.permute(0, 3, 1, 2, 4, 5).reshape(batch, -1, 4 * channels)


PROJECTORS: dict[str, type[nn.Module]] = {
    "linear": Linear,
    "mlp2x_gelu": Mlp,
    "mlp_downsample": MlpDownsample,
}


def _projector_class(name: str) -> type[nn.Module]:
    if name not in PROJECTORS:
        raise ModelError(f"unknown projector {name!r}", mend=f"use one of {', '.join(PROJECTORS)}")
    return PROJECTORS[name]


def build_projector(name: str, vision_size: int, text_size: int) -> nn.Module:
    """A projector with fresh weights.

    Args:
        name: in :data:`PROJECTORS`.
        vision_size: channels of the vision features.
        text_size: hidden size of the language model.

    Raises:
        ModelError: no projector of that name.
    """
    return _projector_class(name)(vision_size, text_size)


def projected_tokens(name: str, rows: int, columns: int) -> int:
    """How many tokens a projector makes of one image of ``rows`` x ``columns`` patches.

    Raises:
        ModelError: no projector of that name.
    """
    return _projector_class(name).tokens(rows, columns)
