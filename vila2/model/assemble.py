"""Assembles a model of the family from a pretrained vision tower and a pretrained language model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from vila2.errors import ModelError
from vila2.model.configuration import Vila2Config
from vila2.model.embeddings import input_embeddings, output_layer
from vila2.model.gguf import load_gguf
from vila2.model.loading import Location, loading, locate
from vila2.model.modeling import Vila2ForConditionalGeneration, check_feature_layer
from vila2.model.processing import (
    IMAGE_TOKEN,
    Vila2Processor,
    end_tokens,
    output_size,
    prepare_tokenizer,
    template_with_parts,
)
from vila2.model.projectors import build_projector
from vila2.model.vision_parts import load_vision
from vila2.model.weights import load_weights


def assemble(
    vision: str | Path,
    language: str | Path,
    *,
    projector: str = "mlp_downsample_2x2_fix",
    vision_feature_layer: int = -2,
    max_tiles: int = 1,
    s2_scales: Sequence[int] = (1,),
    visual_expert: int | str | None = None,
    gguf_file: str | None = None,
    chat_template: str | None = None,
    dtype: str | torch.dtype = "float32",
    seed: int = 0,
    trust_remote_code: bool = False,
) -> tuple[Vila2ForConditionalGeneration, Vila2Processor]:
    """Makes a model with a fresh projector and pretrained other parts.

    Args:
        vision: hub id, folder or ``builtin:world/vision``; of an image-text model such as CLIP, only its
            vision tower is used.
        language: hub id, folder, ``.gguf`` file, ``builtin:world/language`` or ``package:NAME/FILE.gguf``.
        projector: name in :data:`vila2.model.projectors.PROJECTORS`.
        vision_feature_layer: layer of the tower that is read, see :class:`Vila2Config`; -1 for a tower that
            returns its last features only.
        max_tiles: largest number of tiles per image; see :class:`vila2.model.tiling.Tiling`.
        s2_scales: resolutions at which an image is shown; see :class:`vila2.model.tiling.Tiling`.
        visual_expert: kind of the visual expert; see :class:`vila2.model.visual_expert.VisualExpert`.
        gguf_file: name of the GGUF file, if ``language`` has several.
        chat_template: Jinja template that replaces the tokenizer's own.
        dtype: data type of all weights.
        seed: seed of the fresh weights.
        trust_remote_code: whether code in a checkpoint may run.

    Returns:
        The model, in eval mode, and its processor.

    Raises:
        ModelError: a part that cannot be found or loaded, or does not fit the others.
    """
    kind = _dtype(dtype)
    tower, image_processor = load_vision(vision, kind, trust_remote_code)
    causal, tokenizer = _load_language(language, gguf_file, kind, trust_remote_code)
    prepare_tokenizer(tokenizer)
    fit_vocabulary(causal, tokenizer)
    for part in (tower, causal):
        part.config.name_or_path = ""  # its path on this machine does not belong to the model
    config = family_config(
        tower.config,
        causal.config,
        image_processor,
        tokenizer,
        projector=projector,
        vision_feature_layer=vision_feature_layer,
        max_tiles=max_tiles,
        s2_scales=s2_scales,
        visual_expert=visual_expert,
        head_bias=getattr(output_layer(causal), "bias", None) is not None,
        dtype=kind,
    )
    processor = family_processor(config, image_processor, tokenizer, chat_template)
    model = _join(config, tower, causal, seed)
    generation = copy.deepcopy(causal.generation_config)
    generation.eos_token_id = end_tokens(processor)
    generation.pad_token_id = tokenizer.pad_token_id
    model.generation_config = generation
    return model, processor


def family_config(
    vision_config: PreTrainedConfig,
    text_config: PreTrainedConfig,
    image_processor: Any,
    tokenizer: PreTrainedTokenizerBase,
    *,
    dtype: torch.dtype,
    **settings: Any,
) -> Vila2Config:
    """Makes the configuration of a model from those of its parts.

    Args:
        vision_config: configuration of the vision tower.
        text_config: configuration of the language model.
        image_processor: image processor of the vision tower.
        tokenizer: prepared tokenizer of the language model.
        dtype: data type of all weights.
        settings: other settings of :class:`Vila2Config`.

    Raises:
        ModelError: a layer that the tower does not have, images of different sizes, or settings that
            contradict each other.
    """
    config = Vila2Config(
        vision_config=vision_config,
        text_config=text_config,
        image_size=list(output_size(image_processor)),
        image_token_id=cast(int, tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)),  # one token has one id
        tie_word_embeddings=text_config.tie_word_embeddings,
        dtype=dtype,
        **settings,
    )
    check_feature_layer(config)
    _ = config.tiling  # raises if its settings contradict each other
    return config


def family_processor(
    config: Vila2Config,
    image_processor: Any,
    tokenizer: PreTrainedTokenizerBase,
    chat_template: str | None,
) -> Vila2Processor:
    """Makes the processor of a model with this configuration from a prepared tokenizer."""
    processor = Vila2Processor(
        image_processor,
        tokenizer,
        chat_template=template_with_parts(chat_template or tokenizer.chat_template, tokenizer),
        patch_size=config.vision.patch_size,
        projector=config.projector,
        image_size=config.image_size,
        max_tiles=config.max_tiles,
        s2_scales=config.s2_scales,
    )
    tokenizer.chat_template = (
        processor.chat_template
    )  # one template, whether it is read from processor or tokenizer
    return processor


def fit_vocabulary(causal: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Gives a language model an embedding row for every token; new rows start as the mean of the others.

    Embeddings with spare rows keep their size.

    Args:
        causal: language model, changed in place.
        tokenizer: tokenizer of the model.
    """
    causal.config.pad_token_id = tokenizer.pad_token_id
    rows = input_embeddings(causal).weight.shape[0]
    if len(tokenizer) > rows:
        causal.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        for layer in (input_embeddings(causal), output_layer(causal)):
            if layer is not None:
                _fill_with_mean(layer, rows)
    embedding = input_embeddings(causal)
    if embedding.padding_idx is not None:
        # Usually this was the end token, whose embedding would never be trained.
        embedding.padding_idx = tokenizer.pad_token_id


@torch.no_grad()
def _fill_with_mean(layer: nn.Embedding | nn.Linear, rows: int) -> None:
    """Sets the rows of a layer after the first ``rows`` to the mean of those."""
    layer.weight[rows:] = layer.weight[:rows].float().mean(0).to(layer.weight.dtype)
    bias: torch.Tensor | None = getattr(layer, "bias", None)
    if bias is not None:
        bias[rows:] = bias[:rows].mean()


def _join(
    config: Vila2Config, tower: PreTrainedModel, causal: PreTrainedModel, seed: int
) -> Vila2ForConditionalGeneration:
    """Puts the loaded parts into a model, without copying them."""
    with torch.device("meta"):
        model = Vila2ForConditionalGeneration(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        channels = tower.config.hidden_size * len(config.s2_scales)
        fresh = build_projector(config.projector, channels, causal.config.hidden_size)
        model.model.multi_modal_projector = fresh.to(config.dtype)
        model.model.vision_tower = tower
        model.model.language_model = cast(PreTrainedModel, causal.base_model)
        model.model.add_visual_expert()
        if model.model.visual_expert is not None:
            model.model.visual_expert.to(config.dtype)
    model.lm_head = cast(nn.Linear, output_layer(causal))  # every causal language model has one
    model.tie_weights()
    PreTrainedModel.eval(model)
    PreTrainedModel.eval(causal)
    _check_head(model, causal)
    return model


@torch.no_grad()
def _check_head(model: Vila2ForConditionalGeneration, causal: PreTrainedModel) -> None:
    """Checks that the model reads text as its language model does, whose head may do more than multiply.

    Raises:
        ModelError: the logits differ.
    """
    ids = torch.arange(8)[None] % causal.config.vocab_size
    ids[ids == model.config.image_token_id] += 1
    ours, theirs = model(input_ids=ids).logits, causal(input_ids=ids).logits
    if not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3):
        raise ModelError(
            f"language model {causal.config.model_type!r} makes its logits by more than one linear layer"
            f" (they differ by {float((ours - theirs).abs().max()):.3g})",
            hint="use a language model with a plain output layer, such as Llama, Qwen, SmolLM or Mistral",
        )


def load_tokenizer(
    name: str | Path, gguf_file: str | None = None, *, trust_remote_code: bool = False
) -> tuple[Location, PreTrainedTokenizerBase]:
    """Finds a language model and loads its tokenizer.

    Args:
        name: hub id, folder, ``.gguf`` file, ``builtin:`` or ``package:`` name.
        gguf_file: name of the GGUF file, if there are several.
        trust_remote_code: whether code in the checkpoint may run.

    Raises:
        ModelError: no such model, or no tokenizer.
    """
    location = locate(name, gguf_file=gguf_file)
    with loading("tokenizer of", name):
        extra = {"gguf_file": location.gguf_file} if location.gguf_file else {}
        return location, AutoTokenizer.from_pretrained(
            location.path, trust_remote_code=trust_remote_code, **extra
        )


def _load_language(
    name: str | Path, gguf_file: str | None, dtype: torch.dtype, trust_remote_code: bool
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Loads the causal language model and its tokenizer."""
    location, tokenizer = load_tokenizer(name, gguf_file, trust_remote_code=trust_remote_code)
    if location.gguf_file:
        return load_gguf(location, dtype), tokenizer
    causal = load_weights(
        AutoModelForCausalLM,
        location,
        what="language model",
        name=name,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
    )
    return causal, tokenizer


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    kind = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(kind, torch.dtype):
        raise ModelError(f"unknown dtype {dtype!r}", hint="use float32, bfloat16 or float16")
    return kind
