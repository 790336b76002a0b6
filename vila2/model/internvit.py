"""Loads OpenGVLab's InternViT checkpoints as transformers' InternVL vision model.

The checkpoints have code and weight names of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import InternVLVisionConfig, InternVLVisionModel

from vila2.model.checkpoint_files import check_weights
from vila2.model.loading import Location
from vila2.model.weights import fit_state

MODEL_TYPE = "intern_vit_6b"  # in their configurations, whatever the size

# Their names and the names in transformers; `qkv` is also split in three.
_NAMES = {
    r"embeddings\.class_embedding": "embeddings.cls_token",
    r"embeddings\.position_embedding": "embeddings.position_embeddings",
    r"embeddings\.patch_embedding": "embeddings.patch_embeddings.projection",
    r"encoder\.layers": "encoder.layer",
    r"\.attn\.proj\.": ".attention.projection_layer.",
    r"\.attn\.": ".attention.",
    r"\.norm1\.": ".layernorm_before.",
    r"\.norm2\.": ".layernorm_after.",
    r"\.ls([12])$": r".lambda_\1",
}


def internvit_config(theirs: Mapping[str, Any]) -> InternVLVisionConfig:
    """Translates a configuration of InternViT to transformers' names.

    Args:
        theirs: content of the checkpoint's config.json.
    """
    same: tuple[str, ...] = (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "hidden_act",
    )
    same += ("layer_norm_eps", "attention_dropout", "initializer_range")
    return InternVLVisionConfig(
        **{name: theirs[name] for name in same if name in theirs},
        image_size=[theirs["image_size"]] * 2,
        patch_size=[theirs["patch_size"]] * 2,
        attention_bias=theirs.get("qkv_bias", False),
        use_qk_norm=theirs.get("qk_normalization", True),
        norm_type=theirs.get("norm_type", "rms_norm"),
        layer_scale_init_value=theirs.get("initializer_factor", 0.1),
        use_mean_pooling=True,  # no norm after the last layer
    )


def load_internvit(
    location: Location, config: InternVLVisionConfig, dtype: torch.dtype
) -> InternVLVisionModel:
    """Loads an InternViT checkpoint.

    Args:
        location: place of the checkpoint.
        config: configuration from :func:`internvit_config`.
        dtype: data type of the weights.

    Raises:
        ModelError: weights that are missing or do not fit an InternViT.
    """
    from safetensors.torch import load_file

    folder = _folder(location)
    files = check_weights(folder)
    theirs = {name: value for file in files for name, value in load_file(file).items()}
    ours = {name: value.to(dtype) for name, value in convert_internvit(theirs).items()}
    with torch.device("meta"):
        model = InternVLVisionModel(config)
    hint = "give the folder of an InternViT checkpoint with safetensors weights"
    fit_state(model, ours, what="InternViT", name=location.path, hint=hint, assign=True)
    model.eval()
    return model


def convert_internvit(theirs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Renames weights to transformers' names and splits queries, keys and values."""
    ours = {}
    for name, value in theirs.items():
        for pattern, replacement in _NAMES.items():
            name = re.sub(pattern, replacement, name)
        if ".qkv." in name:
            for part, own in zip("qkv", value.chunk(3), strict=True):
                ours[name.replace(".qkv.", f".{part}_proj.")] = own.clone()
        else:
            ours[name] = value
    return ours


def _folder(location: Location) -> Path:
    """The folder with the weights; downloads them if they are on the hub."""
    if location.is_local:
        return Path(location.path)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(location.path, allow_patterns=["*.json", "*.safetensors"]))
