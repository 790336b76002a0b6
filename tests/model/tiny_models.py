"""Tiny random vision towers, language models and foreign models as folders, made in milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ViTImageProcessorPil,
)

SIZE, PATCH = 42, 14  # a 3 x 3 grid: odd, so that the projector has to pad

TOWERS: dict[str, dict[str, Any]] = {
    "siglip_vision_model": {},
    "clip_vision_model": {},
    "dinov2": {"mlp_ratio": 2},
    "dinov2_with_registers": {"mlp_ratio": 2, "num_register_tokens": 4},
    "vit": {},
}
LANGUAGES: dict[str, dict[str, Any]] = {
    "qwen2": {"tie_word_embeddings": True, "num_key_value_heads": 2},
    "llama": {"num_key_value_heads": 2, "pad_token_id": 2},
    "gpt_neox": {},
}


def tower_config(kind: str, **changes: Any) -> Any:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
    return AutoConfig.for_model(
        kind, **sizes | {"image_size": SIZE, "patch_size": PATCH} | TOWERS.get(kind, {}) | changes
    )


def language_config(kind: str, **changes: Any) -> Any:
    sizes = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    ends = {"bos_token_id": 1, "eos_token_id": 2}
    return AutoConfig.for_model(kind, **sizes | {"vocab_size": 99} | ends | LANGUAGES.get(kind, {}) | changes)


def lively(model: PreTrainedModel) -> PreTrainedModel:
    """Larger weights than fresh ones, so that the inputs matter to the output."""
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 and "embed" not in name:
            torch.nn.init.normal_(parameter, std=0.25)
        elif parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.6)
    return model.eval()


def characters(*special: str, pad: str | None = None) -> PreTrainedTokenizerFast:
    """A tokenizer with one token per character: <unk>, <s>, </s>, what is asked for, printable ASCII."""
    words = ["<unk>", "<s>", "</s>", *special, *map(chr, range(32, 127)), "\n"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token=pad,
        extra_special_tokens=list(special),
    )


def save_tower(folder: Path, kind: str, **changes: Any) -> Path:
    lively(AutoModel.from_config(tower_config(kind, **changes))).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    return folder


def save_language(folder: Path, kind: str, template: str | None = None, **changes: Any) -> Path:
    lively(AutoModelForCausalLM.from_config(language_config(kind, **changes))).save_pretrained(folder)
    tokenizer = characters()
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return folder


def picture(number: int, size: tuple[int, int] = (60, 50)) -> Image.Image:
    """A picture of noise, another one for every number."""
    generator = torch.Generator().manual_seed(number)
    pixels = torch.randint(0, 256, (size[1], size[0], 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(pixels.numpy())


def checkpoint(model: PreTrainedModel) -> None:
    """Lets a model compute activations again on the way back; transformers 5.16 has the older name alone."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})
