"""Changes the image resolution of a model, for example from low in alignment to high in tuning."""

from __future__ import annotations

from typing import Any, cast

import torch
from transformers import PreTrainedModel

from vila2.errors import ModelError
from vila2.model.configuration import Vila2Config
from vila2.model.modeling import Vila2Model
from vila2.model.processing import Vila2Processor, output_size
from vila2.model.towers import patch_features


def set_image_size(model: PreTrainedModel, processor: Any, side: int) -> None:
    """Sets the size of a model's images, or tiles, to ``side`` x ``side`` pixels, in place.

    The vision tower keeps its weights, and interpolates its position embeddings in each forward pass.

    Args:
        model: model of our family, on any device.
        processor: the model's own processor.
        side: height and width in pixels; a remainder smaller than a patch is ignored.

    Raises:
        ModelError: a model of another family, or a vision tower with a fixed resolution.
    """
    if not isinstance(model.config, Vila2Config) or not isinstance(processor, Vila2Processor):
        raise ModelError(
            f"image_size cannot be set for a {model.config.model_type!r} model:"
            " its processor determines the resolution",
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
    """Multiplies the sizes of an image processor, in place: of resizing and of cropping."""
    for name in ("size", "crop_size"):
        sizes = getattr(image_processor, name, None)
        if sizes is not None:
            scaled = {key: round(value * factor) for key, value in dict(sizes).items() if value is not None}
            setattr(image_processor, name, scaled)


@torch.no_grad()
def _check_tower(model: PreTrainedModel, side: int) -> None:
    image = torch.zeros(1, 3, side, side, device=model.device)
    family = cast(Vila2Model, model.base_model)  # adapters around it have the same attributes
    tower = family.vision_tower
    try:
        patch_features(tower, family.config, image)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"vision tower {tower.config.model_type!r} cannot read images of {side}x{side} pixels: {error}",
            hint="use a tower that interpolates its positions, such as SigLIP, CLIP or DINOv2",
        ) from error
