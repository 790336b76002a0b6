"""A small model of our family on disk, and samples with the lengths of VILA's mixture, for benchmarks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoModelForCausalLM, SiglipImageProcessorPil

from tests.benchmarks.decode import made_photo
from tests.benchmarks.packed_training import PATCH, PIXELS, TEXT, TOWER
from tests.model.tiny_models import characters, language_config, tower_config
from vila2.data.sample import ImagePart, Sample, Turn, assistant, user
from vila2.model.assemble import assemble
from vila2.model.saving import save_model

_LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz   "))


def save_small_model(folder: Path) -> Path:
    """Saves the small model of `packed_training` with random weights; a token is a letter."""
    torch.manual_seed(0)
    hidden, layers, heads, inner = TOWER["small"]
    tower = AutoModel.from_config(
        tower_config(
            "siglip_vision_model", hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
            intermediate_size=inner, image_size=PIXELS, patch_size=PATCH,
        )
    )  # fmt: skip
    tower.save_pretrained(folder / "tower")
    SiglipImageProcessorPil(size={"height": PIXELS, "width": PIXELS}).save_pretrained(folder / "tower")
    hidden, layers, heads, key_heads, inner, vocabulary = TEXT["small"]
    language = AutoModelForCausalLM.from_config(
        language_config(
            "llama", hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
            num_key_value_heads=key_heads, intermediate_size=inner, vocab_size=vocabulary,
            max_position_embeddings=4096,
        )
    )  # fmt: skip
    language.save_pretrained(folder / "language")
    characters().save_pretrained(folder / "language")
    model, processor = assemble(folder / "tower", folder / "language", vision_feature_layer=-1)
    save_model(model, processor, folder / "model")
    return folder


def mixed_samples(many: int) -> Iterator[Sample]:
    """81% image-text pairs, 19% interleaved documents of two to six images."""
    dice = np.random.default_rng(0)
    photos = map(made_photo, itertools.count())  # all differ, since the tower's view of a photo may be kept
    for number in range(many):
        pair = number * 19 % 100 < 81
        images = 1 if pair else int(dice.integers(2, 7))
        count = int(dice.lognormal(4, 0.7) if pair else dice.lognormal(6, 0.6)) // images + 1
        turns: list[Turn] = []
        for place in range(images):
            turns += [user(ImagePart(place)), assistant(letters(dice, count))]
        yield Sample(f"{number:06d}", tuple(itertools.islice(photos, images)), tuple(turns))


def letters(dice: np.random.Generator, count: int) -> str:
    """Random letters and spaces; neither the first nor the last is a space."""
    return f"a{''.join(dice.choice(_LETTERS, count))}b"
