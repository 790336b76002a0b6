"""LoRA on the language model, merged back into one set of weights together with the projector."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import torch

from vila2.errors import TrainingError
from vila2.model.generalist import parts_of

if TYPE_CHECKING:
    from vila2.run.recipe import StageSpec


def check_lora(stage: StageSpec) -> None:
    """Raises a TrainingError where a stage's adapters cannot be trained on this machine, or not as asked."""
    if stage.lora is None:
        return
    if "language" not in stage.train:
        raise TrainingError(
            "lora adapts the language model, which the stage does not train", mend="train: [language]"
        )
    for part in ("vision", "visual_expert"):
        if part in stage.train:
            raise TrainingError(
                f"lora adapts the language model; {part} would be trained in full beside it",
                mend=f"leave {part} out of the stage's train",
            )
    if stage.lora.quantize and not torch.cuda.is_available():
        raise TrainingError(
            f"quantize: {stage.lora.quantize} needs a CUDA GPU", mend="leave lora.quantize out"
        )
    if stage.lora.quantize and importlib.util.find_spec("bitsandbytes") is None:
        raise TrainingError(
            f"quantize: {stage.lora.quantize} needs bitsandbytes", mend="pip install bitsandbytes"
        )


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


def merge_lora(model: Any, stage: StageSpec, *, plain: torch.nn.Module | None = None) -> torch.nn.Module:
    """The plain model with the adapters folded in: one folder, projector included, no peft needed to load.

    Args:
        model: what :func:`add_lora` made, trained.
        stage: the one it was trained in.
        plain: the model before training with full weights, where ``model`` holds them in 4 bits: folding
            adapters into rounded weights would keep the rounding.
    """
    if plain is None:
        return model.merge_and_unload()
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    trained = {name: value.detach().cpu() for name, value in get_peft_model_state_dict(model).items()}
    whole = add_lora(plain, stage)
    set_peft_model_state_dict(whole, trained)
    return whole.merge_and_unload()
