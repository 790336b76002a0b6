"""Makes a model without its weights: its structure on the meta device, and its processor.

A dry run needs no more to encode a sample and to count parameters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedModel,
    ProcessorMixin,
)

from vila2.model.assemble import family_config, family_processor, load_tokenizer
from vila2.model.generalist import UNUSED, check_kind, load_processor
from vila2.model.loading import Location, loading, locate
from vila2.model.modeling import Vila2ForConditionalGeneration
from vila2.model.processing import prepare_tokenizer
from vila2.model.vision_parts import check_vision_fit, load_vision_settings
from vila2.model.vocabulary_fit import check_image_token, check_vocabulary
from vila2.model.weights import load_weights


def outline(path_or_id: str | Path) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Makes an existing model on the meta device, and its processor.

    Args:
        path_or_id: folder that ``save_pretrained`` wrote, or a hub id.

    Raises:
        ModelError: no such model, or no processor.
    """
    location = locate(path_or_id)
    with loading("model", path_or_id):
        config = AutoConfig.from_pretrained(location.path, trust_remote_code=False)
    check_kind(config, path_or_id)
    processor = load_processor(path_or_id)
    check_image_token(config, processor, path_or_id)
    _check_fit(
        AutoModelForImageTextToText, location, what="model", name=path_or_id, unused=UNUSED, config=config
    )
    with loading("model", path_or_id), torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    check_vocabulary(model, processor, path_or_id)
    return model, processor


def _check_fit(auto: Any, location: Location, **settings: Any) -> None:
    """Checks that weights on this machine fit. Only their headers are read, and nothing is downloaded."""
    if location.is_local and not location.gguf_file:
        load_weights(auto, location, device_map="meta", trust_remote_code=False, **settings)


def outline_of_parts(
    vision: str | Path,
    language: str | Path,
    *,
    gguf_file: str | None = None,
    chat_template: str | None = None,
    **settings: Any,
) -> tuple[Vila2ForConditionalGeneration, ProcessorMixin]:
    """Makes on the meta device what :func:`vila2.model.assemble.assemble` would make, and its processor.

    Args:
        vision: vision tower; see :func:`vila2.model.assemble.assemble`, also for the others.
        language: language model.
        gguf_file: name of the GGUF file, if ``language`` has several.
        chat_template: Jinja template that replaces the tokenizer's own.
        settings: other settings of :class:`Vila2Config`, such as ``projector`` and ``max_tiles``.

    Raises:
        ModelError: a part that cannot be found or does not fit.
    """
    vision_config, image_processor = load_vision_settings(vision)
    check_vision_fit(vision, vision_config)
    location, tokenizer = load_tokenizer(language, gguf_file)
    _check_fit(AutoModelForCausalLM, location, what="language model", name=language)
    with loading("language model", language):
        extra = {"gguf_file": location.gguf_file} if location.gguf_file else {}
        text_config = AutoConfig.from_pretrained(location.path, trust_remote_code=False, **extra)
    prepare_tokenizer(tokenizer)
    text_config.vocab_size = max(text_config.vocab_size, len(tokenizer))
    config = family_config(
        vision_config,
        text_config,
        image_processor,
        tokenizer,
        head_bias=False,
        dtype=torch.float32,
        **settings,
    )
    processor = family_processor(config, image_processor, tokenizer, chat_template)
    with torch.device("meta"):
        return Vila2ForConditionalGeneration(config), processor
