"""LoRA on the language model, merged back into one set of weights together with the projector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from vila2.errors import TrainingError
from vila2.model.generalist import parts_of

if TYPE_CHECKING:
    from vila2.run.recipe import StageSpec


def add_lora(model: torch.nn.Module, stage: StageSpec) -> torch.nn.Module:
    """Wraps the model with adapters on every linear layer of its language model.

    The projector is small: where the stage trains it, it is trained in full, not through an adapter.

    Args:
        model: an image-text-to-text model.
        stage: with ``lora``, and what it trains.

    Returns:
        A peft model whose checkpoints hold the adapters and the projector.
    """
    from peft import LoraConfig, get_peft_model

    names = {id(module): name for name, module in model.named_modules()}
    language = names[id(model.get_decoder())]
    targets = [
        name
        for name, module in model.named_modules()
        if name.startswith(language + ".") and isinstance(module, torch.nn.Linear)
    ]
    if not targets:
        raise TrainingError(
            f"no linear layers found under {language!r} for LoRA", mend="train in full instead"
        )
    projector = names[id(parts_of(model)["projector"])]
    config = LoraConfig(
        r=stage.lora.rank,
        lora_alpha=stage.lora.alpha,
        lora_dropout=stage.lora.dropout,
        target_modules=targets,
        modules_to_save=[projector] if "projector" in stage.train else None,
    )
    return get_peft_model(model, config)


def merge_lora(
    model: Any,
    stage: StageSpec,
    *,
    plain: torch.nn.Module | None = None,
    state: Mapping[str, torch.Tensor] | None = None,
) -> torch.nn.Module:
    """The plain model with the adapters folded in: one folder, projector included, no peft needed to load.

    Args:
        model: what :func:`add_lora` made, trained.
        stage: the one it was trained in.
        plain: the model before training with full weights, where ``model`` does not hold them: in 4 bits
            (folding adapters into rounded weights would keep the rounding), or in shares (ZeRO-3).
        state: ``model``'s weights, where it does not hold them itself.
    """
    if plain is None:
        return model.merge_and_unload()
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    learned = get_peft_model_state_dict(model, state_dict=state)
    whole = add_lora(plain, stage)
    set_peft_model_state_dict(whole, {name: value.detach().cpu() for name, value in learned.items()})
    return whole.merge_and_unload()
