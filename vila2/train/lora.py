"""LoRA on the language model, merged back into one set of weights with the projector and the added tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import PreTrainedModel

from vila2.errors import TrainingError
from vila2.model.generalist import parts_of
from vila2.model.special_tokens import token_groups
from vila2.model.weights import Fit, decide

if TYPE_CHECKING:
    from vila2.recipe.parts.stage import StageSpec


def add_lora(model: PreTrainedModel, stage: StageSpec) -> torch.nn.Module:
    """Wraps the model with adapters on every linear layer of its language model.

    The projector is small: where the stage trains it, it is trained in full, not through an adapter. So are
    the rows of tokens that were added to the model (locations, say) in its embeddings and its output layer.
    The rows of all other tokens stay frozen.

    Args:
        model: an image-text-to-text model.
        stage: a stage with ``lora``.

    Returns:
        A peft model whose checkpoints hold the adapters, the projector and those rows.

    Raises:
        TrainingError: the language model has no linear layers, or an output layer whose rows cannot be
            trained apart.
    """
    from peft import LoraConfig, get_peft_model

    lora = stage.lora
    assert lora is not None, "adapters are wanted only where the stage has them"

    names = {id(module): name for name, module in model.named_modules()}
    targets = [*adapted_layers(model)]
    projector = names[id(parts_of(model)["projector"])]
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=cast(int, lora.alpha),  # peft computes with any number
        lora_dropout=lora.dropout,
        target_modules=targets,
        modules_to_save=[projector] if "projector" in stage.train else None,
        trainable_token_indices=_added_rows(model, names) or None,
    )
    return get_peft_model(model, config)


def adapted_layers(model: Any) -> dict[str, torch.nn.Linear]:
    """The linear layers that get adapters, by name: those of the language model, without its output layer.

    Raises:
        TrainingError: the language model has none.
    """
    language = next(name for name, module in model.named_modules() if module is model.get_decoder())
    head = model.get_output_embeddings()
    found = {
        name: module
        for name, module in model.named_modules()
        if name.startswith(language + ".") and isinstance(module, torch.nn.Linear) and module is not head
    }
    if not found:
        raise TrainingError(
            f"no linear layers found under {language!r} for LoRA", hint="train in full instead"
        )
    return found


def _added_rows(model: Any, names: Mapping[int, str]) -> dict[str, list[int]]:
    """The rows of the model's token groups, by the name of each layer that holds some of its own."""
    rows = [
        row
        for group in token_groups(model.config)
        for row in range(group.first, group.first + group.spec.count)
    ]
    if not rows:
        return {}
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if getattr(head, "bias", None) is not None:
        # peft computes with the trained rows of such a layer's weight and leaves its bias out.
        raise TrainingError(
            "LoRA cannot train added tokens in a model whose output layer has a bias",
            hint="leave lora out, or use coordinates: text",
        )
    # Tied layers are one: peft trains the rows of the embedding in both.
    layers = [embedding] if head.weight is embedding.weight else [embedding, head]
    return {names[id(layer)]: rows for layer in layers}


def merge_lora(
    model: Any,
    stage: StageSpec,
    *,
    plain: PreTrainedModel | None = None,
    state: Mapping[str, torch.Tensor] | None = None,
) -> torch.nn.Module:
    """The plain model with the adapters folded in: one folder, projector included, no peft needed to load.

    Args:
        model: trained model that :func:`add_lora` made.
        stage: stage in which it was trained.
        plain: the model before training with full weights, where ``model`` does not hold them: in 4 bits
            (folding adapters into rounded weights would keep the rounding), or in shards (ZeRO-3).
        state: ``model``'s weights, where it does not hold them itself.
    """
    if plain is None:
        return cast(torch.nn.Module, model.merge_and_unload())
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    learned = get_peft_model_state_dict(model, state_dict=state)
    whole: Any = add_lora(plain, stage)
    found: Any = set_peft_model_state_dict(
        whole, {name: value.detach().cpu() for name, value in learned.items()}
    )
    # Every weight of the model itself is "missing" among the adapters'; none of theirs may be left over.
    decide(
        Fit(used=len(learned), unexpected=tuple(found.unexpected_keys)),
        what="adapter of",
        name="the stage",
        whole=True,
    )
    return cast(torch.nn.Module, whole.merge_and_unload())
