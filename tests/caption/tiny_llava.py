"""A tiny image-text-to-text model with random weights, and pictures to show it."""

from __future__ import annotations

import io
from pathlib import Path

TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>' }}{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def build_tiny_llava(folder: Path, *, seed: int = 0, width: int = 32) -> None:
    """Saves a Llava of some thousand random weights, which says one character per token."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    words = [chr(code) for code in range(32, 127)]
    special = ["<pad>", "</s>", "<unk>", "<image>", "<|user|>", "<|assistant|>", "<|end|>"]
    vocabulary = {word: number for number, word in enumerate(special + words)}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    core.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
        model_max_length=512,
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|user|>", "<|assistant|>", "<|end|>"]})
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=CLIPVisionConfig(
                hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                image_size=28, patch_size=14, projection_dim=16,
            ),
            text_config=LlamaConfig(
                hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2, num_attention_heads=2,
                num_key_value_heads=2, vocab_size=len(vocabulary), max_position_embeddings=512,
                bos_token_id=None, eos_token_id=1, pad_token_id=0, initializer_range=0.5,
            ),
            image_token_index=3, image_token_id=3, vision_feature_layer=-2, image_seq_length=4,
        )
    )  # fmt: skip
    model.generation_config.eos_token_id = 1
    model.generation_config.pad_token_id = 0
    # A default that must not leak into what the engine is asked for.
    model.generation_config.repetition_penalty = 1.7
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
        image_token="<image>",
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def picture(number: int, size: tuple[int, int] = (40, 32)) -> bytes:
    """A PNG of colored noise, different for each number."""
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
