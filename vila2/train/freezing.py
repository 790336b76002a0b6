"""What a stage trains and what it freezes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from vila2.errors import TrainingError
from vila2.model.generalist import parts_of

PARTS = ("vision", "projector", "language", "visual_expert")


@dataclass(frozen=True, slots=True)
class PartState:
    """One part of the model: how many parameters it has, and whether they are trained."""

    name: str
    parameters: int
    trained: bool

    def __str__(self) -> str:
        return f"{self.name:<13} {self.parameters:>14,} parameters  {'trained' if self.trained else 'frozen'}"


def freeze_all_but(model: PreTrainedModel, train: Sequence[str]) -> tuple[PartState, ...]:
    """Freezes all parts but those named.

    Args:
        model: any image-text-to-text model whose parts are known.
        train: parts to train: any of "vision", "projector", "language", "visual_expert".

    Returns:
        The state of every part, in the order of the data flow.

    Raises:
        TrainingError: an unknown part, or one that the model lacks.
    """
    parts = parts_of(model)
    check_parts(parts, train)
    model.requires_grad_(False)
    for name in train:
        for parameter in parts[name].parameters():
            if parameter.is_floating_point():  # weights in 4 bits cannot be trained
                parameter.requires_grad_(True)
    # Tied embeddings belong to the language model, wherever else they appear.
    return tuple(
        PartState(name, sum(p.numel() for p in part.parameters()), name in train)
        for name, part in parts.items()
    )


def check_parts(parts: Collection[str], train: Sequence[str]) -> None:
    """Raises a TrainingError for a part to train that does not exist, or not in this model."""
    for name in train:
        if name not in PARTS:
            raise TrainingError(f"unknown part {name!r} to train", hint=f"use {', '.join(PARTS)}")
        if name not in parts:
            raise TrainingError(f"the model has no {name} to train", hint=f"assemble one with model.{name}")


def frozen_modules(model: PreTrainedModel, train: Sequence[str]) -> list[torch.nn.Module]:
    """The parts to keep in eval mode, so that dropout and batch statistics of a frozen part are off too."""
    return [module for name, module in parts_of(model).items() if name not in train]
