"""Checkpoints laid out as NVlabs' are: the converted model computes what their parts compute."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import interpolate, pad
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText
from typer.testing import CliRunner

from tests.model.tiny_models import SIZE, picture, save_language, save_tower
from vila2.cli.main import app
from vila2.errors import ModelError
from vila2.model.convert_vila import convert_vila

VISION, TEXT = 32, 48
NVILA = {"image_encoder": {"_target_": "llava.model.encoders.BasicImageEncoder"}}


class Joined(nn.Module):
    """Their layer in front: blocks of ``side`` x ``side`` patches, written down plainly."""

    def __init__(self, side: int, by_column: bool) -> None:
        super().__init__()
        self.side, self.by_column = side, by_column

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        rows = int(features.shape[1] ** 0.5)
        grid = features.unflatten(1, (rows, rows))
        grid = pad(grid, (0, 0, 0, -rows % self.side, 0, -rows % self.side))
        places = list(product(range(0, grid.shape[1], self.side), repeat=2))
        if self.by_column:
            places = [(row, column) for column, row in places]
        blocks = [grid[:, r : r + self.side, c : c + self.side].flatten(1) for r, c in places]
        return torch.stack(blocks, 1)


def projector(kind: str, by_column: bool, channels: int = VISION) -> nn.Sequential:
    """Their projectors, with their numbering of layers."""
    if kind == "mlp2x_gelu":
        return nn.Sequential(nn.Linear(channels, TEXT), nn.GELU(), nn.Linear(TEXT, TEXT))
    side = 3 if "3x3" in kind else 2
    inputs = channels * side**2
    narrow = [nn.Linear(inputs, 3 * channels), nn.GELU(), nn.LayerNorm(3 * channels)] if side == 3 else []
    last = [nn.Linear(3 * channels if side == 3 else inputs, TEXT), nn.GELU(), nn.Linear(TEXT, TEXT)]
    return nn.Sequential(Joined(side, by_column), nn.LayerNorm(inputs), *narrow, *last)


def checkpoint(folder: Path, kind: str, settings: dict, channels: int = VISION) -> nn.Sequential:
    """Writes a checkpoint as NVlabs' code does; gives its projector."""
    save_language(folder / "llm", "llama", pad_token_id=None)
    save_tower(folder / "vision_tower", "siglip_vision_model")
    weights = load_file(folder / "vision_tower" / "model.safetensors")
    prefixed = {
        f"vision_model.{name.removeprefix('vision_model.')}": value for name, value in weights.items()
    }
    save_file(prefixed, folder / "vision_tower" / "model.safetensors", {"format": "pt"})
    torch.manual_seed(0)
    theirs = projector(kind, kind == "mlp_downsample" and "image_encoder" not in settings, channels)
    (folder / "mm_projector").mkdir()
    named = {f"layers.{name}": value for name, value in theirs.state_dict().items()}
    save_file(named, folder / "mm_projector" / "model.safetensors")
    own = {"model_type": "v2l_projector", "mm_projector_type": kind}
    (folder / "mm_projector" / "config.json").write_text(json.dumps(own))
    common = {"model_type": "llava_llama", "image_aspect_ratio": "resize", "mm_vision_select_layer": -2}
    common |= {"mm_vision_select_feature": "cls_patch"}
    (folder / "config.json").write_text(json.dumps(common | settings))
    return theirs


def features(folder: Path, pixels: torch.Tensor) -> torch.Tensor:
    tower = AutoModel.from_pretrained(folder / "vision_tower")
    return tower(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]


def logits(folder: Path, ids: torch.Tensor, places: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """The language model on a text with image tokens in their places."""
    causal = AutoModelForCausalLM.from_pretrained(folder / "llm")
    embeddings = causal.get_input_embeddings()(ids.masked_fill(places, 0))
    embeddings[places] = images.reshape(-1, TEXT)
    return causal(inputs_embeds=embeddings).logits


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("mlp_downsample", {}),  # VILA-1.5
        ("mlp2x_gelu", {}),
        ("mlp_downsample", NVILA),
        ("mlp_downsample_2x2_fix", NVILA),
        ("mlp_downsample_3x3_fix", NVILA),
    ],
)
@torch.no_grad()
def test_the_logits_are_those_of_their_parts(tmp_path, kind: str, settings: dict) -> None:
    theirs = checkpoint(tmp_path, kind, settings)
    model, processor = convert_vila(tmp_path, dtype="float32")
    batch = processor(text=["Look: <image>What?"], images=[[picture(1)]], return_tensors="pt")
    places = batch["input_ids"] == processor.image_token_id
    images = theirs(features(tmp_path, batch["pixel_values"]))
    expected = logits(tmp_path, batch["input_ids"], places, images)
    torch.testing.assert_close(
        model(**batch).logits[..., : expected.shape[-1]], expected, rtol=1e-4, atol=1e-4
    )
    behind = batch["input_ids"][0, places[0].nonzero()[-1] + 1]
    assert processor.tokenizer.decode(behind) == ("\n" if settings else "W")


@torch.no_grad()
def test_s2_joins_three_scales_at_the_first(tmp_path) -> None:
    s2 = {"s2": True, "s2_scales": f"{SIZE},{2 * SIZE},{3 * SIZE}", "s2_max_split_size": SIZE}
    theirs = checkpoint(tmp_path, "mlp_downsample", s2, 3 * VISION)
    big = json.loads((tmp_path / "vision_tower" / "preprocessor_config.json").read_text())
    big["size"] = {"height": 3 * SIZE, "width": 3 * SIZE}  # so their code saves it
    (tmp_path / "vision_tower" / "preprocessor_config.json").write_text(json.dumps(big))
    model, processor = convert_vila(tmp_path, dtype="float32")
    pixels = processor(text=["<image>"], images=[[picture(1)]], return_tensors="pt")["pixel_values"]
    maps, start = [], 0
    for scale in (1, 2, 3):
        tiles = features(tmp_path, pixels[start : start + scale**2]).unflatten(1, (3, 3))
        start += scale**2
        rows = [torch.cat(list(tiles[row * scale : (row + 1) * scale]), 1) for row in range(scale)]
        maps.append(interpolate(torch.cat(rows, 0).permute(2, 0, 1)[None], (3, 3), mode="area"))
    assert start == len(pixels)
    expected = theirs(torch.cat(maps, 1).flatten(2).mT)
    torch.testing.assert_close(model.get_image_features(pixels).pooler_output, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_dynamic_s2_joins_tiles_at_the_last(tmp_path) -> None:
    settings = NVILA | {"image_aspect_ratio": "dynamic_s2", "dynamic_s2": True, "max_tiles": 6}
    settings |= {"s2_scales": f"{SIZE},{2 * SIZE}", "s2_resize_output_to_scale_idx": -1}
    theirs = checkpoint(tmp_path, "mlp_downsample", settings, 2 * VISION)
    model, processor = convert_vila(tmp_path, dtype="float32")
    batch = processor(text=["<image>a"], images=[[Image.new("RGB", (180, 120))]], return_tensors="pt")
    assert batch["image_grids"].tolist() == [[2, 3]] and len(batch["pixel_values"]) == 7
    found = model.get_image_features(batch["pixel_values"], batch["image_grids"]).pooler_output[0]
    seen = features(tmp_path, batch["pixel_values"]).unflatten(1, (3, 3))
    high = torch.cat([torch.cat(list(seen[1 + 3 * row : 4 + 3 * row]), 1) for row in range(2)], 0)
    low = interpolate(seen[:1].permute(0, 3, 1, 2), (6, 9), mode="area")[0].permute(1, 2, 0)
    joined = torch.cat([low, high], -1)
    tiles = [
        theirs(joined[3 * row : 3 * row + 3, 3 * column : 3 * column + 3].flatten(0, 1)[None]).view(
            2, 2, TEXT
        )
        for row, column in product(range(2), range(3))
    ]
    rows = [torch.cat(tiles[3 * row : 3 * row + 3], 1) for row in range(2)]
    torch.testing.assert_close(found, torch.cat(rows, 0).flatten(0, 1), rtol=1e-4, atol=1e-4)


def test_the_command_writes_one_folder(tmp_path) -> None:
    checkpoint(tmp_path / "theirs", "mlp_downsample_3x3_fix", NVILA | {"image_aspect_ratio": "dynamic"})
    words = [
        "model",
        "convert",
        str(tmp_path / "theirs"),
        "--out",
        str(tmp_path / "ours"),
        "--dtype",
        "float32",
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0 and "1 tokens per tile" in done.stdout, done.output
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "ours")
    assert model.config.max_tiles == 12
    assert "exists already" in CliRunner().invoke(app, words).output


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"image_aspect_ratio": "pad"}, "'pad' is not supported"),
        ({"s2": True, "s2_scales": "42,60"}, "not multiples"),
        ({"s2": True, "s2_scales": "42,84", "s2_max_split_size": 84}, "s2_max_split_size 84"),
    ],
)
def test_what_the_family_does_not_have_is_refused(tmp_path, settings: dict, said: str) -> None:
    checkpoint(tmp_path, "mlp_downsample", settings)
    with pytest.raises(ModelError, match=said):
        convert_vila(tmp_path)


def test_a_checkpoint_that_is_not_whole(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"llm/config.json is missing"):
        convert_vila(tmp_path)
    checkpoint(tmp_path, "mlp_downsample", {})
    (tmp_path / "mm_projector" / "config.json").write_text('{"mm_projector_type": "mlp2x_gelu"}')
    with pytest.raises(ModelError, match=r"projector \(mlp2x_gelu\) .* do not fit"):
        convert_vila(tmp_path)
