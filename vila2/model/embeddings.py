"""Embeddings and output layer of a model, with their types: transformers declares both as plain modules."""

from __future__ import annotations

from typing import cast

from torch import nn
from transformers import PreTrainedModel


def input_embeddings(model: PreTrainedModel) -> nn.Embedding:
    """The token embeddings, whose ``weight`` is [vocabulary, hidden size]."""
    return cast(nn.Embedding, model.get_input_embeddings())


def output_layer(model: PreTrainedModel) -> nn.Linear | None:
    """The layer that makes the logits, ``weight`` [vocabulary, hidden size]; None if there is none."""
    return cast(nn.Linear | None, model.get_output_embeddings())
