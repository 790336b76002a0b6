"""The vision tower of the miniature world: a small convolutional encoder with transformers' interface."""

from __future__ import annotations

import math

import torch
from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel, initialization as init
from transformers.modeling_outputs import BaseModelOutput


@strict
class MiniatureVisionConfig(PreTrainedConfig):
    """Sizes of the miniature vision tower.

    Attributes:
        image_size: side of the square input in pixels; ``patch_size`` pixels make one output cell.
        hidden_size: channels of one output cell: learned features, then ``coordinate_size`` fixed ones.
        stem_sizes: channels after each of the three halvings of the resolution.
        blocks: residual blocks at the last resolution.
        frozen_statistics: whether the batch statistics of pretraining are kept in training mode too.
            Otherwise the few images of a step would change them, even with a frozen tower.
    """

    model_type = "vila2_miniature_vision"

    image_size: int = 96
    patch_size: int = 8
    num_channels: int = 3
    hidden_size: int = 128
    coordinate_size: int = 24
    stem_sizes: list[int] | tuple[int, ...] = (32, 64, 128)
    blocks: int = 3
    frozen_statistics: bool = True


class ResidualBlock(nn.Module):
    """Adds two 3x3 convolutions to their input; keeps the shape [B, C, H, W]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        inner = torch.relu(self.first_norm(self.first(features)))
        return torch.relu(features + self.second_norm(self.second(inner)))


def _halve(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def grid_coordinates(rows: int, columns: int, size: int) -> torch.Tensor:
    """Computes fixed sine and cosine coordinates [rows * columns, size], row-major.

    Frequencies start at half a period over the image and double, so the first pair alone distinguishes left
    and right.

    Args:
        rows, columns: shape of the grid in cells.
        size: channels of a cell's coordinates, a multiple of 4.
    """
    frequencies = math.pi * 2.0 ** torch.arange(size // 4)
    parts = []
    for count, axis in ((rows, 0), (columns, 1)):
        phase = ((torch.arange(count) + 0.5) / count)[:, None] * frequencies
        wave = torch.cat([phase.sin(), phase.cos()], dim=1)
        parts.append(wave[:, None].expand(-1, columns, -1) if axis == 0 else wave[None].expand(rows, -1, -1))
    return torch.cat(parts, dim=2).reshape(rows * columns, size)


class MiniatureVisionModel(PreTrainedModel):
    """Encodes images by convolutions, and adds coordinates to each cell, which convolutions do not know."""

    config_class = MiniatureVisionConfig
    base_model_prefix = "vision"
    main_input_name = "pixel_values"
    input_modalities = ["image"]  # noqa: RUF012 - transformers' own declaration

    def __init__(self, config: MiniatureVisionConfig) -> None:
        super().__init__(config)
        first, second, third = config.stem_sizes
        self.stem = nn.Sequential(
            _halve(config.num_channels, first),
            nn.Conv2d(first, first, 3, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            _halve(first, second),
            ResidualBlock(second),
            _halve(second, third),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(third) for _ in range(config.blocks)))
        self.features = nn.Conv2d(third, config.hidden_size - config.coordinate_size, 1, bias=False)
        self.features_norm = nn.BatchNorm2d(config.hidden_size - config.coordinate_size)
        PreTrainedModel.post_init(self)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        else:
            PreTrainedModel._init_weights(self, module)

    def train(self, mode: bool = True) -> MiniatureVisionModel:
        """Sets training mode; batch norms stay in evaluation mode if their statistics are frozen."""
        super().train(mode)
        if self.config.frozen_statistics:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(
        self, pixel_values: torch.Tensor, return_dict: bool | None = None, **kwargs: object
    ) -> BaseModelOutput | tuple[torch.Tensor]:
        """Encodes images.

        Args:
            pixel_values: pixels [B, 3, image_size, image_size], normalized to about -1..1.

        Returns:
            ``last_hidden_state`` [B, cells, hidden_size], cells row-major.
        """
        maps = self.features_norm(self.features(self.blocks(self.stem(pixel_values))))
        batch, _, rows, columns = maps.shape
        # Not a buffer, since a non-persistent buffer does not survive loading on "meta".
        coordinates = grid_coordinates(rows, columns, self.config.coordinate_size).to(maps)
        hidden = torch.cat([maps.flatten(2).transpose(1, 2), coordinates.expand(batch, -1, -1)], dim=2)
        return BaseModelOutput(last_hidden_state=hidden) if return_dict is not False else (hidden,)


AutoConfig.register(MiniatureVisionConfig.model_type, MiniatureVisionConfig)
AutoModel.register(MiniatureVisionConfig, MiniatureVisionModel)
