"""Loads causal language models from GGUF files, dequantized so that they can be trained and saved."""

from __future__ import annotations

import copy

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from vila2.model.loading import Location
from vila2.model.weights import load_weights


def load_gguf(location: Location, dtype: torch.dtype) -> PreTrainedModel:
    """Loads a language model from a GGUF file.

    transformers marks such a model as quantized and refuses to save it, although its weights are plain
    numbers. So the weights move into a fresh model of the same configuration.

    Args:
        location: place of the model, with ``gguf_file``.
        dtype: data type of the weights.

    Raises:
        ModelError: a file that cannot be read or lacks weights.
    """
    name = f"{location.path}/{location.gguf_file}"
    read = load_weights(AutoModelForCausalLM, location, what="language model", name=name, dtype=dtype)
    settings = copy.deepcopy(read.config).to_dict()
    settings.pop("quantization_config", None)
    settings.pop("_name_or_path", None)
    config = AutoConfig.for_model(**settings)
    config.dtype = dtype
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(read.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config = read.generation_config
    return model
