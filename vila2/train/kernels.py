"""Fused kernels of liger-kernel for a model's language model, where they are available."""

from __future__ import annotations

import importlib.util
import inspect

import torch
from transformers import PreTrainedModel


def use_liger(model: PreTrainedModel) -> str:
    """Replaces norms, rotary positions and gated layers of the language model by fused ones.

    The output layer and the loss stay our own, because they run only on tokens that the loss counts.

    Returns:
        The reason why nothing was replaced; empty where it was.
    """
    if not torch.cuda.is_available():
        return "liger-kernel needs a GPU"
    if importlib.util.find_spec("liger_kernel") is None:
        return "liger-kernel is not installed (pip install liger-kernel)"
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN

    language = model.get_decoder()
    # transformers calls the bare language model of a VLM "..._text".
    kind = language.config.model_type
    apply = MODEL_TYPE_TO_APPLY_LIGER_FN.get(kind) or MODEL_TYPE_TO_APPLY_LIGER_FN.get(
        kind.removesuffix("_text")
    )
    if apply is None:
        return f"liger-kernel has no kernels for {kind}"
    wanted = {"rope": True, "rms_norm": True, "swiglu": True, "geglu": True}
    left = {"cross_entropy": False, "fused_linear_cross_entropy": False}
    known = inspect.signature(apply).parameters
    apply(model=language, **{name: value for name, value in (wanted | left).items() if name in known})
    return ""
