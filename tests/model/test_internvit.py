"""InternViT: OpenGVLab's key names and settings give the same features in transformers' model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import conv2d, gelu, layer_norm, linear, rms_norm
from transformers import CLIPImageProcessorPil

from tests.model.tiny_models import PATCH, SIZE, save_language
from vila2.errors import ModelError
from vila2.model.assemble import assemble

WIDTH, HEADS, LAYERS = 32, 4, 3
SETTINGS = {
    "model_type": "intern_vit_6b",
    "architectures": ["InternVisionModel"],
    "auto_map": {"AutoConfig": "configuration_intern_vit.InternVisionConfig"},
    "hidden_size": WIDTH,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "intermediate_size": 64,
    "hidden_act": "gelu",
    "image_size": SIZE,
    "patch_size": PATCH,
    "layer_norm_eps": 1e-6,
    "initializer_factor": 0.1,
    "use_flash_attn": True,
    "drop_path_rate": 0.0,
}
SMALL = {"norm_type": "layer_norm", "qk_normalization": False, "qkv_bias": True}  # InternViT-300M
LARGE = {"norm_type": "rms_norm", "qk_normalization": True, "qkv_bias": False}  # InternViT-6B


def weights(settings: dict) -> dict[str, torch.Tensor]:
    """Random weights under InternViT's names."""
    layer = {
        "attn.proj.weight": (WIDTH, WIDTH),
        "attn.proj.bias": (WIDTH,),
        "attn.qkv.weight": (3 * WIDTH, WIDTH),
    }
    layer |= {"mlp.fc1.weight": (64, WIDTH), "mlp.fc1.bias": (64,)}
    layer |= {"mlp.fc2.weight": (WIDTH, 64), "mlp.fc2.bias": (WIDTH,), "ls1": (WIDTH,), "ls2": (WIDTH,)}
    layer |= {"norm1.weight": (WIDTH,), "norm2.weight": (WIDTH,)}
    if settings["norm_type"] == "layer_norm":
        layer |= {"norm1.bias": (WIDTH,), "norm2.bias": (WIDTH,)}
    if settings["qk_normalization"]:
        layer |= {"attn.q_norm.weight": (WIDTH,), "attn.k_norm.weight": (WIDTH,)}
    if settings["qkv_bias"]:
        layer |= {"attn.qkv.bias": (3 * WIDTH,)}
    shapes = {
        "embeddings.class_embedding": (1, 1, WIDTH),
        "embeddings.position_embedding": (1, 10, WIDTH),
        "embeddings.patch_embedding.weight": (WIDTH, 3, PATCH, PATCH),
        "embeddings.patch_embedding.bias": (WIDTH,),
    } | {f"encoder.layers.{n}.{name}": shape for n in range(LAYERS) for name, shape in layer.items()}
    generator = torch.Generator().manual_seed(0)
    return {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def features(theirs: dict, settings: dict, pixels: torch.Tensor, layers: int) -> torch.Tensor:
    """What InternViT computes up to a layer, class token included."""

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        if settings["norm_type"] == "layer_norm" and "attn" not in name:
            return layer_norm(x, x.shape[-1:], theirs[f"{name}.weight"], theirs[f"{name}.bias"], 1e-6)
        return rms_norm(x, x.shape[-1:], theirs[f"{name}.weight"], 1e-6)

    patches = conv2d(
        pixels,
        theirs["embeddings.patch_embedding.weight"],
        theirs["embeddings.patch_embedding.bias"],
        stride=PATCH,
    )
    first = theirs["embeddings.class_embedding"].expand(len(pixels), -1, -1)
    x = torch.cat([first, patches.flatten(2).mT], 1) + theirs["embeddings.position_embedding"]
    for n in range(layers):
        own = f"encoder.layers.{n}."
        qkv = linear(
            norm(own + "norm1", x), theirs[own + "attn.qkv.weight"], theirs.get(own + "attn.qkv.bias")
        )
        q, k, v = qkv.chunk(3, -1)
        if settings["qk_normalization"]:
            q, k = norm(own + "attn.q_norm", q), norm(own + "attn.k_norm", k)
        q, k, v = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in (q, k, v))
        seen = ((q * (WIDTH // HEADS) ** -0.5 @ k.mT).softmax(-1) @ v).transpose(1, 2).flatten(2)
        seen = linear(seen, theirs[own + "attn.proj.weight"], theirs[own + "attn.proj.bias"])
        x = x + seen * theirs[own + "ls1"]
        inner = gelu(
            linear(norm(own + "norm2", x), theirs[own + "mlp.fc1.weight"], theirs[own + "mlp.fc1.bias"])
        )
        x = (
            x
            + linear(inner, theirs[own + "mlp.fc2.weight"], theirs[own + "mlp.fc2.bias"])
            * theirs[own + "ls2"]
        )
    return x


def save(folder: Path, settings: dict) -> dict[str, torch.Tensor]:
    theirs = weights(settings)
    folder.mkdir()
    save_file(theirs, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(SETTINGS | settings))
    square = {"height": SIZE, "width": SIZE}
    CLIPImageProcessorPil(size={"shortest_edge": SIZE}, crop_size=square).save_pretrained(folder)
    return theirs


@pytest.mark.parametrize("settings", [SMALL, LARGE], ids=["300M", "6B"])
def test_the_features_are_internvits(tmp_path, settings: dict) -> None:
    theirs = save(tmp_path / "tower", settings)
    language = save_language(tmp_path / "language", "llama")
    pixels = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    for layer, layers in ((-2, LAYERS - 1), (-1, LAYERS)):
        model, _ = assemble(tmp_path / "tower", language, vision_feature_layer=layer)
        found = model.get_image_features(pixels).last_hidden_state
        expected = features(theirs, settings, pixels, layers)[:, 1:]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_weight_that_is_missing_is_named(tmp_path) -> None:
    theirs = save(tmp_path / "tower", SMALL)
    del theirs["encoder.layers.1.ls2"]
    save_file(theirs, tmp_path / "tower" / "model.safetensors")
    with pytest.raises(ModelError, match=r"weights of the InternViT .* 1 missing: encoder.layer.1.lambda_2"):
        assemble(tmp_path / "tower", save_language(tmp_path / "language", "llama"))
