"""What tiny checkpoints are made of: tokenizers, configurations, files, photos."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.decoders import Fuse
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast

_LETTERS = [*map(chr, range(32, 127)), "\n"]
_TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 4096,
}
TOWER: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
QWEN_IMAGES = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
CHATML = ("<|im_start|>", "<|im_end|>")


def tokenizer_of(*special: str, eos: str = "</s>", **named: str) -> PreTrainedTokenizerFast:
    """A tokenizer with one token for each letter, and a family's special ones.

    Args:
        special: besides <pad>, <s> and </s>.
        eos: ends a text.
        named: special tokens that the family's processor asks for by an attribute, such as ``image_token``.
    """
    known = dict.fromkeys(["<pad>", "<s>", "</s>", "<unk>", *special, *named.values()])
    words = [*known, *_LETTERS]
    core = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    core.decoder = Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token=eos,
        pad_token="<pad>",
        extra_special_tokens=named,
    )
    ordinary = [word for word in known if word not in ("<pad>", "<s>", "</s>", "<unk>")]
    tokenizer.add_special_tokens({"additional_special_tokens": ordinary}, replace_extra_special_tokens=False)
    return tokenizer


def save_checkpoint(
    folder: Path,
    config: Any,
    tokenizer: PreTrainedTokenizerFast,
    images: tuple[str, dict[str, Any]],
    processor: tuple[str, dict[str, Any]],
    template: str | None,
) -> None:
    """Writes a checkpoint: the processor's settings stand in files, as on the hub, and name their classes."""
    torch.manual_seed(0)
    model = lively(AutoModelForImageTextToText.from_config(config))
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if template:
        (folder / "chat_template.jinja").write_text(template)
    kind, settings = images
    named = {"image_processor_type": kind, "processor_class": processor[0]}
    write_json(folder / "preprocessor_config.json", named | settings)
    write_json(folder / "processor_config.json", {"processor_class": processor[0]} | processor[1])


def write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1))


def lively(model: Any) -> Any:
    """Larger weights than fresh ones, so that what the model reads matters to what it writes."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def ids_of(tokenizer: PreTrainedTokenizerFast, **names: str) -> dict[str, int]:
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}


def text_config(kind: str, tokenizer: PreTrainedTokenizerFast, **changes: Any) -> dict[str, Any]:
    ends = {"bos_token_id": 1, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": 0}
    return _TEXT | {"model_type": kind, "vocab_size": len(tokenizer)} | ends | changes


def square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


#: Shapes of photos as they come: wide, high, square, small.
SHAPES = ((120, 60), (50, 100), (80, 80), (40, 30))


def photo(number: int, size: tuple[int, int] | None = None) -> bytes:
    """A PNG of colored noise, by default in one of four shapes in turn."""
    width, height = size or SHAPES[number % len(SHAPES)]
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
