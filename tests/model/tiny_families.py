"""Tiny models of our family and of others, saved as folders."""

from __future__ import annotations

from pathlib import Path

from transformers import (
    AutoModelForImageTextToText,
    CLIPImageProcessorPil,
    Idefics3Config,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    LlavaConfig,
    LlavaProcessor,
    Qwen2VLConfig,
    Qwen2VLImageProcessorPil,
)

from tests.model.tiny_models import SIZE, characters, save_language, save_tower, tower_config
from vila2.model.assemble import assemble

TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


def save_ours(folder: Path) -> None:
    parts = folder.with_name("parts")
    model, processor = assemble(
        save_tower(parts / "tower", "siglip_vision_model"), save_language(parts / "text", "qwen2")
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def save_llava(folder: Path) -> None:
    tokenizer = characters("<image>", pad="<unk>")
    square = {"height": SIZE, "width": SIZE}
    LlavaProcessor(
        CLIPImageProcessorPil(size=square, crop_size=square),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)
    config = LlavaConfig(
        vision_config=tower_config("clip_vision_model"),
        text_config=TEXT | {"model_type": "llama", "vocab_size": len(tokenizer)},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    AutoModelForImageTextToText.from_config(config).save_pretrained(folder)


def save_idefics3(folder: Path) -> None:
    """Idefics3 and SmolVLM are built alike; SmolVLM's processor needs num2words for videos."""
    tokenizer = characters(
        "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", pad="<unk>"
    )
    images = Idefics3ImageProcessorPil(
        size={"longest_edge": 56}, max_image_size={"longest_edge": 56}, do_image_splitting=False
    )
    Idefics3Processor(images, tokenizer, image_seq_len=4).save_pretrained(folder)
    vision = tower_config("siglip_vision_model").to_dict() | {
        "image_size": 56,
        "model_type": "idefics3_vision",
    }
    config = Idefics3Config(
        vision_config=vision,
        text_config=TEXT | {"model_type": "llama", "vocab_size": len(tokenizer), "pad_token_id": 0},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    AutoModelForImageTextToText.from_config(config).save_pretrained(folder)


def save_qwen2_vl(folder: Path) -> None:
    special = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    tokenizer = characters(*special, pad="<unk>")
    ids = dict(zip(special, tokenizer.convert_tokens_to_ids(list(special)), strict=True))
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
    config = Qwen2VLConfig(
        text_config=TEXT
        | {"num_key_value_heads": 2, "vocab_size": len(tokenizer), "rope_parameters": rope}
        | {"bos_token_id": 1, "eos_token_id": 2},
        vision_config={"embed_dim": 32, "hidden_size": 32, "depth": 2, "num_heads": 4, "mlp_ratio": 2},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=56 * 56).save_pretrained(folder)


#: How each family is saved, and a prompt with one image in its own words.
FAMILIES = {
    "ours": (save_ours, "<image>a"),
    "llava": (save_llava, "<image>a"),
    "idefics3": (save_idefics3, "<image>a"),
    "qwen2_vl": (save_qwen2_vl, "<|vision_start|><|image_pad|><|vision_end|>a"),
}
#: Families whose processor needs torchvision, which is absent here: two of them, with old transformers.
UNREADABLE = {"idefics3", "smolvlm"} if getattr(Idefics3ImageProcessorPil, "is_dummy", False) else set()
for name in UNREADABLE & FAMILIES.keys():
    del FAMILIES[name]
