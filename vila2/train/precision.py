"""Numbers in which a stage computes: what learns is kept in float32, whatever the recipe's dtype.

A step of 2e-5 on a weight of 0.02 is less than bfloat16 can tell apart, so weights that learn in bfloat16 do not
learn. They are held in float32 and computed with in the recipe's dtype (autocast); frozen ones are held in it.
DeepSpeed does the same by itself, with the float32 weights shared out over the processes.
"""

from __future__ import annotations

import torch


def computed_in(dtype: str) -> str:
    """The dtype a stage computes in here: float16 needs a GPU, the others go anywhere."""
    return "float32" if dtype == "float16" and not torch.cuda.is_available() else dtype


def keep_learning_weights_whole(model: torch.nn.Module) -> None:
    """Turns the weights that learn, and statistics kept beside them, to float32; all others stay as they are."""
    for module in model.modules():
        learning = [p for p in module.parameters(recurse=False) if p.requires_grad]
        kept = [b for b in module.buffers(recurse=False) if learning and b.is_floating_point()]
        for tensor in (*learning, *kept):
            tensor.data = tensor.data.float()
    _bring_embeddings_to_features(model)


# Families that bring an image's features to the dtype of their first weight, which may rest, and then put them among
# embeddings, which may learn.
_FEATURES_IN_ITS_OWN_DTYPE = ("smolvlm",)


def _bring_embeddings_to_features(model: torch.nn.Module) -> None:
    """Lets embeddings that learn leave their layer in the dtype of the features that are put among them."""
    whole = model.get_base_model() if hasattr(model, "get_base_model") else model
    if getattr(getattr(whole, "config", None), "model_type", None) in _FEATURES_IN_ITS_OWN_DTYPE:
        inner = whole.base_model
        inner.get_input_embeddings().register_forward_hook(lambda _layer, _ids, found: found.to(inner.dtype))
