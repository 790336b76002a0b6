"""The precision of a stage: weights that learn are held in float32, whatever the dtype of the recipe.

A step of 2e-5 on a weight of 0.02 is below the resolution of bfloat16, so weights held in bfloat16 would not
learn. They are held in float32 and computed with in the recipe's dtype (autocast). Frozen weights are held in
the recipe's dtype. DeepSpeed does the same by itself, with the float32 weights sharded over the processes.
"""

from __future__ import annotations

from typing import Any

import torch


def computed_in(dtype: str) -> str:
    """The dtype that a stage computes in on this machine: float16 needs a GPU, the others do not."""
    return "float32" if dtype == "float16" and not torch.cuda.is_available() else dtype


def keep_learning_weights_whole(model: torch.nn.Module) -> None:
    """Converts the weights that learn, and statistics beside them, to float32; others stay as they are."""
    for module in model.modules():
        learning = [p for p in module.parameters(recurse=False) if p.requires_grad]
        kept = [b for b in module.buffers(recurse=False) if learning and b.is_floating_point()]
        for tensor in (*learning, *kept):
            tensor.data = tensor.data.float()
    _bring_embeddings_to_features(model)


# Families that convert an image's features to the dtype of their first weight, which may be frozen, and then
# put them among embeddings, which may learn.
_FEATURES_IN_ITS_OWN_DTYPE = ("smolvlm",)


def _bring_embeddings_to_features(model: torch.nn.Module) -> None:
    """Makes embeddings that learn leave their layer in the dtype of the features that are put among them."""
    wrapped: Any = model
    whole = wrapped.get_base_model() if hasattr(wrapped, "get_base_model") else wrapped
    if getattr(getattr(whole, "config", None), "model_type", None) in _FEATURES_IN_ITS_OWN_DTYPE:
        inner = whole.base_model
        inner.get_input_embeddings().register_forward_hook(lambda _layer, _ids, found: found.to(inner.dtype))
