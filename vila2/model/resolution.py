"""Changes the resolution that a model looks at: low while it is aligned, high when it is tuned."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

from vila2.errors import ModelError
from vila2.model.configuration import Vila2Config
from vila2.model.processing import Vila2Processor, output_size
from vila2.model.towers import patch_features


def set_image_size(model: PreTrainedModel, processor: Any, side: int) -> None:
    """Lets model and processor look at images, or tiles, of ``side`` x ``side`` pixels.

    The vision tower keeps its weights: fixed position embeddings are interpolated while it runs.

    Args:
        model: of our family, on any device.
        processor: the model's own.
        side: in pixels; what is left over of a whole number of patches is not looked at.

    Raises:
        ModelError: not a model of our family, or a vision tower of one resolution only.
    """
    if not isinstance(model.config, Vila2Config) or not isinstance(processor, Vila2Processor):
        raise ModelError(
            f"the resolution of a {model.config.model_type!r} model is its processor's business",
            hint="leave image_size out, or assemble a model from vision and language",
        )
    scale_sizes(processor.image_processor, side / processor.image_size[0])
    made = output_size(processor.image_processor)
    if made != (side, side):
        raise ModelError(
            f"the image processor cannot make images of {side}x{side} pixels; it makes {made[0]}x{made[1]}",
            hint="set its size to a fixed height and width in preprocessor_config.json",
        )
    processor.image_size = [side, side]
    model.config.image_size = [side, side]
    if model.device.type != "meta":
        _check_tower(model, side)


def scale_sizes(image_processor: Any, factor: float) -> None:
    """Multiplies all sizes of an image processor: what it resizes to, and what it cuts out of that."""
    for name in ("size", "crop_size"):
        sizes = getattr(image_processor, name, None)
        if sizes is not None:
            scaled = {key: round(value * factor) for key, value in dict(sizes).items() if value is not None}
            setattr(image_processor, name, scaled)


@torch.no_grad()
def _check_tower(model: PreTrainedModel, side: int) -> None:
    image = torch.zeros(1, 3, side, side, device=model.device)
    tower = model.base_model.vision_tower
    try:
        patch_features(tower, model.config, image)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"vision tower {tower.config.model_type!r} cannot look at {side}x{side} pixels: {error}",
            hint="use a tower that interpolates its positions, such as SigLIP, CLIP or DINOv2",
        ) from error
