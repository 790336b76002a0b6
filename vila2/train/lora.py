"""LoRA on the language model, merged back into one set of weights together with the projector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from vila2.errors import TrainingError
from vila2.model.generalist import parts_of

if TYPE_CHECKING:
    from vila2.run.recipe import LoraSpec


def add_lora(model: torch.nn.Module, spec: LoraSpec, *, train_projector: bool) -> torch.nn.Module:
    """Wraps the model with adapters on every linear layer of its language model.

    Args:
        model: an image-text-to-text model.
        spec: rank, alpha and dropout.
        train_projector: the projector is small, so it is trained in full, not through an adapter.

    Returns:
        A peft model whose checkpoints hold the adapters and the projector.
    """
    from peft import LoraConfig, get_peft_model

    names = {id(module): name for name, module in model.named_modules()}
    language = names[id(model.get_decoder())]
    head = model.get_output_embeddings()
    targets = [
        name
        for name, module in model.named_modules()
        if name.startswith(language + ".") and isinstance(module, torch.nn.Linear) and module is not head
    ]
    if not targets:
        raise TrainingError(f"no linear layers found under {language!r} for LoRA", mend="train in full instead")
    config = LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        target_modules=targets,
        modules_to_save=[names[id(parts_of(model)["projector"])]] if train_projector else None,
    )
    return get_peft_model(model, config)


def merge_lora(model: Any) -> torch.nn.Module:
    """The plain model with the adapters folded in: one folder, projector included, no peft needed to load."""
    return model.merge_and_unload()
