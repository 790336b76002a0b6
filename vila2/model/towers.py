"""Reads patch features from any vision tower of transformers, whatever inputs it takes."""

from __future__ import annotations

import inspect

import torch
from transformers import PreTrainedModel

from vila2.errors import ModelError
from vila2.model.configuration import Vila2Config, pair
from vila2.model.seen_before import SeenBefore


def patch_features(
    tower: PreTrainedModel,
    config: Vila2Config,
    pixel_values: torch.Tensor,
    seen_before: SeenBefore | None = None,
) -> tuple[torch.Tensor, int, int]:
    """Computes the patch features of one layer of a vision tower; a frozen tower keeps no graph.

    Args:
        tower: SigLIP, SigLIP 2, CLIP, DINOv2 (also with registers), ViT, InternViT, or a tower with their
            inputs.
        config: configuration that names the layer.
        pixel_values: pixels [images, 3, height, width].
        seen_before: cache of features, for a frozen tower on the CPU.

    Returns:
        Features [images, rows * columns, C], row-major without class and register tokens; rows; columns.

    Raises:
        ModelError: the tower gives fewer features than the image has patches.
    """
    down, across = pair(config.vision.patch_size)
    rows, columns = pixel_values.shape[-2] // down, pixel_values.shape[-1] // across
    learns = torch.is_grad_enabled() and any(p.requires_grad for p in tower.parameters())
    grid = rows, columns
    on_cpu = pixel_values.device.type == "cpu" and not torch.compiler.is_compiling()
    with torch.set_grad_enabled(learns):
        if seen_before is None or learns or not on_cpu:
            features = _look(tower, config, pixel_values, grid)
        else:
            features = seen_before(pixel_values, lambda new: _look(tower, config, new, grid))
    if features.shape[1] < rows * columns:
        raise ModelError(
            f"the vision tower gives {features.shape[1]} features for {rows} x {columns} patches",
            hint="use a tower whose patch_size is the size of one feature in pixels",
        )
    # Every tower puts its class and register tokens first.
    return features[:, -rows * columns :], rows, columns


def _look(
    tower: PreTrainedModel, config: Vila2Config, pixel_values: torch.Tensor, grid: tuple[int, int]
) -> torch.Tensor:
    """All features [images, features, C] of the layer that the configuration names."""
    inputs = _inputs(tower, pixel_values.to(tower.dtype), grid, pair(config.vision.patch_size))
    layer = config.vision_feature_layer
    features: torch.Tensor
    if layer == -1:
        features = tower(**inputs).last_hidden_state
    else:  # a list asks for this one state only, so the others are not kept
        features = tower(**inputs, output_hidden_states=[layer]).hidden_states[layer]
    return features


def _inputs(
    tower: PreTrainedModel, pixel_values: torch.Tensor, grid: tuple[int, int], patch: tuple[int, int]
) -> dict[str, torch.Tensor | bool]:
    """The arguments of the tower's forward pass."""
    asked = inspect.signature(tower.forward).parameters
    if "spatial_shapes" in asked:  # SigLIP 2 takes patches and the shape of their grid
        return {
            "pixel_values": _patches(pixel_values, grid, patch),
            "pixel_attention_mask": pixel_values.new_ones(
                len(pixel_values), grid[0] * grid[1], dtype=torch.bool
            ),
            "spatial_shapes": torch.tensor([grid] * len(pixel_values), device=pixel_values.device),
        }
    inputs: dict[str, torch.Tensor | bool] = {"pixel_values": pixel_values}
    taught = pair(getattr(tower.config, "image_size", pixel_values.shape[-2:]))
    # The resolution differs from the pretrained one; towers without this argument interpolate by themselves.
    if tuple(pixel_values.shape[-2:]) != taught and "interpolate_pos_encoding" in asked:
        inputs["interpolate_pos_encoding"] = True
    return inputs


def _patches(pixel_values: torch.Tensor, grid: tuple[int, int], patch: tuple[int, int]) -> torch.Tensor:
    """Cuts images into patches [images, rows * columns, height * width * 3], as SigLIP 2's processor does."""
    whole = pixel_values[..., : grid[0] * patch[0], : grid[1] * patch[1]]
    cells: torch.Tensor = whole.unflatten(3, (grid[1], patch[1])).unflatten(2, (grid[0], patch[0]))
    return cells.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)
