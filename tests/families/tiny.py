"""Tiny models of the families that people use, with random weights, as their checkpoints come.

Each is a folder like those on the hub: configuration, safetensors, tokenizer, chat template and the family's
own image processor. Splitting, tiling and native resolution are on as in the real checkpoint, only for
smaller images.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from tests.families import templates
from tests.families.making import (
    CHATML,
    QWEN_IMAGES,
    TOWER,
    ids_of,
    photo,
    save_checkpoint,
    square,
    text_config,
    tokenizer_of,
    write_json,
)
from vila2.model.assemble import assemble

__all__ = ["FAMILIES", "photo"]


def _rows_and_columns(
    folder: Path, kind: str, processor: str, vision: dict[str, Any], template: str, patch: int = 14
) -> None:
    """Qwen's VLMs: native resolution, positions that count an image's rows and columns."""
    tokenizer = tokenizer_of(*CHATML, *QWEN_IMAGES, eos="<|im_end|>")
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
    if kind == "qwen3_vl":
        rope["mrope_interleaved"] = True
    config = AutoConfig.for_model(
        kind,
        text_config=text_config(f"{kind}_text", tokenizer, rope_parameters=rope, tie_word_embeddings=False),
        vision_config={"depth": 2, "num_heads": 2, "patch_size": patch} | vision,
        **ids_of(tokenizer, image_token_id="<|image_pad|>", video_token_id="<|video_pad|>"),
        **ids_of(tokenizer, vision_start_token_id="<|vision_start|>", vision_end_token_id="<|vision_end|>"),
    )
    cell = 2 * patch
    images = {"patch_size": patch, "merge_size": 2, "temporal_patch_size": 2}
    images |= {"size": {"shortest_edge": 4 * cell**2, "longest_edge": 9 * cell**2}}
    save_checkpoint(folder, config, tokenizer, ("Qwen2VLImageProcessor", images), (processor, {}), template)


def save_qwen2_vl(folder: Path) -> None:
    vision = {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2}
    _rows_and_columns(folder, "qwen2_vl", "Qwen2VLProcessor", vision, templates.QWEN)


def save_qwen2_5_vl(folder: Path) -> None:
    vision = {"hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48, "fullatt_block_indexes": [1]}
    _rows_and_columns(
        folder, "qwen2_5_vl", "Qwen2_5_VLProcessor", vision | {"window_size": 56}, templates.QWEN
    )


def save_qwen3_vl(folder: Path) -> None:
    vision = {"hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48}
    vision |= {"num_position_embeddings": 16, "deepstack_visual_indexes": [0, 1]}
    _rows_and_columns(folder, "qwen3_vl", "Qwen3VLProcessor", vision, templates.QWEN3, patch=16)


def save_glm4v(folder: Path) -> None:
    names = ("<|image|>", "<|video|>", "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>")
    roles = ("<|end_of_video|>", "<|user|>", "<|assistant|>", "<|system|>", "[gMASK]", "<sop>")
    tokenizer = tokenizer_of(*names, *roles, "<|endoftext|>", eos="<|endoftext|>")
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
    rope |= {"partial_rotary_factor": 1.0}
    config = AutoConfig.for_model(
        "glm4v",
        text_config=text_config("glm4v_text", tokenizer, rope_parameters=rope),
        vision_config={"depth": 2, "num_heads": 2, "hidden_size": 32, "out_hidden_size": 32}
        | {"intermediate_size": 48, "image_size": 56},
        **ids_of(tokenizer, image_token_id="<|image|>", video_token_id="<|video|>"),
        **ids_of(tokenizer, image_start_token_id="<|begin_of_image|>", image_end_token_id="<|end_of_image|>"),
        **ids_of(tokenizer, video_start_token_id="<|begin_of_video|>", video_end_token_id="<|end_of_video|>"),
    )
    images = {"size": {"shortest_edge": 56 * 56, "longest_edge": 2 * 84 * 84}, "patch_size": 14}
    save_checkpoint(
        folder, config, tokenizer, ("Glm4vImageProcessor", images), ("Glm4vProcessor", {}), templates.GLM4V
    )
    generation = json.loads((folder / "generation_config.json").read_text())
    ends = [tokenizer.convert_tokens_to_ids(name) for name in ("<|endoftext|>", "<|user|>")]
    write_json(folder / "generation_config.json", generation | {"eos_token_id": ends})


def save_llava(folder: Path) -> None:
    tokenizer = tokenizer_of("<image>")
    config = AutoConfig.for_model(
        "llava",
        text_config=text_config("llama", tokenizer),
        vision_config=TOWER | {"model_type": "clip_vision_model", "image_size": 28, "patch_size": 14},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    images = {"size": {"shortest_edge": 28}, "crop_size": square(28)}
    settings = {"patch_size": 14, "vision_feature_select_strategy": "default"}
    settings |= {"num_additional_image_tokens": 1, "image_token": "<image>"}
    save_checkpoint(
        folder, config, tokenizer, ("CLIPImageProcessor", images), ("LlavaProcessor", settings),
        templates.LLAVA,
    )  # fmt: skip


def save_llava_next(folder: Path) -> None:
    tokenizer = tokenizer_of("<image>")
    grids = [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]
    config = AutoConfig.for_model(
        "llava_next",
        text_config=text_config("mistral", tokenizer, sliding_window=None),
        vision_config=TOWER | {"model_type": "clip_vision_model", "image_size": 28, "patch_size": 14},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=grids,
        image_seq_length=4,
    )
    images = {"size": {"shortest_edge": 28}, "crop_size": square(28), "image_grid_pinpoints": grids}
    settings = {"patch_size": 14, "vision_feature_select_strategy": "default"}
    settings |= {"num_additional_image_tokens": 1, "image_token": "<image>"}
    save_checkpoint(
        folder, config, tokenizer, ("LlavaNextImageProcessor", images), ("LlavaNextProcessor", settings),
        templates.LLAVA_NEXT,
    )  # fmt: skip


def save_llava_onevision(folder: Path) -> None:
    tokenizer = tokenizer_of("<image>", "<video>", *CHATML, eos="<|im_end|>")
    grids = [[28 * high, 28 * wide] for high in range(1, 4) for wide in range(1, 4)]
    config = AutoConfig.for_model(
        "llava_onevision",
        text_config=text_config("qwen2", tokenizer, tie_word_embeddings=True),
        vision_config=TOWER
        | {"model_type": "siglip_vision_model", "image_size": 28, "patch_size": 14}
        | {"vision_use_head": False},
        **ids_of(tokenizer, image_token_index="<image>", video_token_index="<video>"),
        image_grid_pinpoints=grids,
        tie_word_embeddings=True,
    )
    images = {"size": square(28), "image_grid_pinpoints": grids}
    settings = {"num_image_tokens": 4, "vision_feature_select_strategy": "full"}
    settings |= {"image_token": "<image>", "video_token": "<video>", "vision_aspect_ratio": "anyres_max_9"}
    save_checkpoint(
        folder, config, tokenizer, ("LlavaOnevisionImageProcessor", images),
        ("LlavaOnevisionProcessor", settings), templates.LLAVA_ONEVISION,
    )  # fmt: skip


def _splitting(folder: Path, kind: str, image_processor: str, processor: str, template: str) -> None:
    """Idefics3 and SmolVLM: an image is cut into rows and columns, and shown once as a whole."""
    grid = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    tokenizer = tokenizer_of(
        "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<|im_start|>",
        "<|begin_of_text|>", *grid, eos="<end_of_utterance>" if kind == "smolvlm" else "</s>",
    )  # fmt: skip
    config = AutoConfig.for_model(
        kind,
        text_config=text_config("llama", tokenizer),
        vision_config=TOWER | {"model_type": f"{kind}_vision", "image_size": 28, "patch_size": 7},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    images = {"do_image_splitting": True, "size": {"longest_edge": 84}, "do_pad": True}
    images |= {"max_image_size": {"longest_edge": 28}, "do_resize": True}
    save_checkpoint(
        folder, config, tokenizer, (image_processor, images), (processor, {"image_seq_len": 4}), template
    )


def save_idefics3(folder: Path) -> None:
    _splitting(folder, "idefics3", "Idefics3ImageProcessor", "Idefics3Processor", templates.IDEFICS3)


def save_smolvlm(folder: Path) -> None:
    _splitting(folder, "smolvlm", "SmolVLMImageProcessor", "SmolVLMProcessor", templates.SMOLVLM)


def save_internvl(folder: Path) -> None:
    tokenizer = tokenizer_of(
        *CHATML,
        eos="<|im_end|>",
        context_image_token="<IMG_CONTEXT>",
        start_image_token="<img>",
        end_image_token="</img>",
        video_token="<video>",
    )
    config = AutoConfig.for_model(
        "internvl",
        text_config=text_config("qwen2", tokenizer, tie_word_embeddings=True),
        vision_config=TOWER | {"model_type": "internvl_vision", "image_size": [28, 28], "patch_size": [7, 7]},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    images = {"size": square(28), "crop_to_patches": False, "min_patches": 1, "max_patches": 4}
    save_checkpoint(
        folder, config, tokenizer, ("GotOcr2ImageProcessor", images),
        ("InternVLProcessor", {"image_seq_length": 4}), templates.INTERNVL,
    )  # fmt: skip


def save_gemma3(folder: Path) -> None:
    tokenizer = tokenizer_of(
        "<start_of_turn>",
        "<end_of_turn>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
        image_token="<image_soft_token>",
    )
    config = AutoConfig.for_model(
        "gemma3",
        text_config=text_config(
            "gemma3_text", tokenizer, sliding_window=4096, query_pre_attn_scalar=8, use_cache=True,
            layer_types=["sliding_attention", "full_attention"],
        ),
        vision_config=TOWER
        | {"model_type": "siglip_vision_model", "image_size": 28, "patch_size": 7, "vision_use_head": False},
        mm_tokens_per_image=4,
        **ids_of(tokenizer, boi_token_index="<start_of_image>", eoi_token_index="<end_of_image>"),
        **ids_of(tokenizer, image_token_index="<image_soft_token>"),
    )  # fmt: skip
    images = {"size": square(28), "do_pan_and_scan": None, "image_seq_length": 4}
    save_checkpoint(
        folder, config, tokenizer, ("Gemma3ImageProcessor", images),
        ("Gemma3Processor", {"image_seq_length": 4}), templates.GEMMA3,
    )  # fmt: skip


def save_paligemma(folder: Path) -> None:
    """It has no chat template: its tasks are prefixes of plain text."""
    tokenizer = tokenizer_of("<image>")
    config = AutoConfig.for_model(
        "paligemma",
        text_config=text_config("gemma", tokenizer, vocab_size=len(tokenizer) + 1024 + 128),
        vision_config=TOWER
        | {"model_type": "siglip_vision_model", "image_size": 28, "patch_size": 14, "projection_dim": 32}
        | {"vision_use_head": False},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=32,
        hidden_size=32,
    )
    images = {"size": square(28), "image_seq_length": 4}
    save_checkpoint(
        folder, config, tokenizer, ("SiglipImageProcessor", images), ("PaliGemmaProcessor", {}), None
    )


_PIXTRAL = {"image_token": "[IMG]", "image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]"}


def save_pixtral(folder: Path) -> None:
    """mistral-community/pixtral-12b is a LLaVA with a tower that reads images at their own shape."""
    tokenizer = tokenizer_of("[INST]", "[/INST]", *_PIXTRAL.values())
    tower = TOWER | {"model_type": "pixtral", "image_size": 56, "patch_size": 14, "head_dim": 16}
    config = AutoConfig.for_model(
        "llava",
        text_config=text_config("mistral", tokenizer, sliding_window=None),
        vision_config=tower,
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_seq_length=1,
    )
    images = {"size": {"longest_edge": 56}, "patch_size": square(14)}
    save_checkpoint(
        folder, config, tokenizer, ("PixtralImageProcessor", images),
        ("PixtralProcessor", {"patch_size": 14, "spatial_merge_size": 1} | _PIXTRAL), templates.PIXTRAL,
    )  # fmt: skip


def save_mistral3(folder: Path) -> None:
    tokenizer = tokenizer_of("[INST]", "[/INST]", *_PIXTRAL.values())
    tower = TOWER | {"model_type": "pixtral", "image_size": 56, "patch_size": 14, "head_dim": 16}
    config = AutoConfig.for_model(
        "mistral3",
        text_config=text_config("mistral", tokenizer, sliding_window=None),
        vision_config=tower,
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
        tie_word_embeddings=False,
    )
    images = {"size": {"longest_edge": 84}, "patch_size": square(14)}
    save_checkpoint(
        folder, config, tokenizer, ("PixtralImageProcessor", images),
        ("PixtralProcessor", {"patch_size": 14, "spatial_merge_size": 2} | _PIXTRAL), templates.PIXTRAL,
    )  # fmt: skip


def save_florence2(folder: Path) -> None:
    """An encoder and a decoder: the image and the question go into one, the answer comes out of the other."""
    tokenizer = tokenizer_of(image_token="<image>")
    text = {"model_type": "bart", "d_model": 32, "encoder_layers": 1, "decoder_layers": 1}
    text |= {"encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "vocab_size": len(tokenizer) + 1100}
    text |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 256}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "decoder_start_token_id": 2}
    config = AutoConfig.for_model(
        "florence2",
        text_config=text | ends | {"forced_eos_token_id": 2},
        vision_config={"model_type": "florence_vision", "depths": [1, 1, 1, 1], "projection_dim": 32}
        | {"embed_dim": [8, 8, 16, 16], "num_heads": [1, 1, 2, 2], "num_groups": [1, 1, 2, 2]}
        | {"window_size": 2},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    images = {"size": square(64), "crop_size": square(64), "image_seq_length": 4}
    save_checkpoint(
        folder, config, tokenizer, ("CLIPImageProcessor", images), ("Florence2Processor", {}), None
    )


def save_ours(folder: Path) -> None:
    """A model of our own family, whose large images are tiles."""
    from tests.model.tiny_models import save_language, save_tower

    parts = folder.with_name(folder.name + "-parts")
    tower = save_tower(parts / "tower", "siglip_vision_model")
    model, processor = assemble(tower, save_language(parts / "text", "qwen2"), max_tiles=4)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


#: Every family and how a tiny one is saved.
FAMILIES: dict[str, Callable[[Path], None]] = {
    "ours": save_ours,
    "llava": save_llava,
    "llava_next": save_llava_next,
    "llava_onevision": save_llava_onevision,
    "idefics3": save_idefics3,
    "smolvlm": save_smolvlm,
    "internvl": save_internvl,
    "qwen2_vl": save_qwen2_vl,
    "qwen2_5_vl": save_qwen2_5_vl,
    "qwen3_vl": save_qwen3_vl,
    "glm4v": save_glm4v,
    "gemma3": save_gemma3,
    "paligemma": save_paligemma,
    "pixtral": save_pixtral,
    "mistral3": save_mistral3,
    "florence2": save_florence2,
}
