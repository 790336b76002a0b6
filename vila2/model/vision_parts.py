"""Loads a vision tower of any family, and its image processor."""

from __future__ import annotations

from math import isqrt
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    InternVLVisionConfig,
    PreTrainedConfig,
    PreTrainedModel,
    SiglipImageProcessorPil,
)

# From its own file: `transformers` before 5.19 names it only where torchvision is.
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from vila2.errors import ModelError
from vila2.model.checkpoint_files import check_weights
from vila2.model.internvit import MODEL_TYPE, internvit_config, load_internvit
from vila2.model.loading import Location, loading, locate
from vila2.model.weights import POOLING, load_weights


def load_vision_settings(
    name: str | Path, *, trust_remote_code: bool = False
) -> tuple[PreTrainedConfig, Any]:
    """Loads the configuration of a vision tower, and its image processor.

    Args:
        name: hub id, folder or ``builtin:`` name of the tower, or of a model that has one.
        trust_remote_code: whether code in the checkpoint may run.

    Raises:
        ModelError: no such tower, or one without patches.
    """
    location = locate(name)
    with loading("vision tower", name):
        config = _vision_config(location, trust_remote_code)
    for attribute in ("hidden_size", "patch_size"):
        if not hasattr(config, attribute):
            raise ModelError(
                f"vision tower {name}: its configuration ({config.model_type}) has no {attribute}",
                hint="use a vision transformer such as SigLIP, CLIP, DINOv2 or ViT",
            )
    with loading("image processor of", name):
        # This backend works without torchvision, and the pixels are the same with and without it.
        images = AutoImageProcessor.from_pretrained(
            location.path, backend="pil", trust_remote_code=trust_remote_code
        )
    return config, _of_one_size(images, config)


def load_vision(name: str | Path, dtype: torch.dtype, trust_remote_code: bool) -> tuple[PreTrainedModel, Any]:
    """Loads a vision tower and its image processor.

    Raises:
        ModelError: no such tower, or one without patches.
    """
    config, image_processor = load_vision_settings(name, trust_remote_code=trust_remote_code)
    with loading("vision tower", name):
        if isinstance(config, InternVLVisionConfig) and _is_internvit(locate(name)):
            return load_internvit(locate(name), config, dtype), image_processor
    return _tower(name, config, dtype=dtype, trust_remote_code=trust_remote_code), image_processor


def check_vision_fit(name: str | Path, config: PreTrainedConfig) -> None:
    """Checks that the weights of a vision tower on this machine fit. Only their headers are read.

    Args:
        name: name of the tower.
        config: its configuration, from :func:`load_vision_settings`.

    Raises:
        ModelError: files that are missing or broken, or weights that do not fit.
    """
    location = locate(name)
    if not location.is_local:
        return
    if isinstance(config, InternVLVisionConfig) and _is_internvit(location):
        check_weights(Path(location.path))
        return
    _tower(name, config, device_map="meta", trust_remote_code=False)


def _tower(name: str | Path, config: PreTrainedConfig, **settings: Any) -> PreTrainedModel:
    return load_weights(
        AutoModel,
        locate(name),
        what="vision tower",
        name=name,
        part=True,
        unused=POOLING,
        config=config,
        **settings,
    )


def _vision_config(location: Location, trust_remote_code: bool) -> Any:
    """The configuration of a tower, or of the tower inside an image-text model."""
    if location.is_local and '"vila2_' in Path(location.path, "config.json").read_text():
        import vila2.model.miniature  # noqa: F401 - our own tower registers itself on import
    if _is_internvit(location):
        return internvit_config(PreTrainedConfig.get_config_dict(location.path)[0])
    config = AutoConfig.from_pretrained(location.path, trust_remote_code=trust_remote_code)
    return getattr(config, "vision_config", config)


def _is_internvit(location: Location) -> bool:
    return PreTrainedConfig.get_config_dict(location.path)[0].get("model_type") == MODEL_TYPE


def _of_one_size(image_processor: Any, config: PreTrainedConfig) -> Any:
    """The image processor; for SigLIP 2, whose own keeps aspect ratios, one that makes squares."""
    if config.model_type != "siglip2_vision_model":
        return image_processor
    side = isqrt(config.num_patches) * config.patch_size
    kept = {name: getattr(image_processor, name) for name in ("resample", "image_mean", "image_std")}
    return SiglipImageProcessorPil(size={"height": side, "width": side}, **kept)
