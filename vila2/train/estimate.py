"""An estimate of the memory and the operations that a stage will take.

Weights, gradients and Adam's two moments are exact. Activations follow the usual count for a transformer
layer (Korthikanti et al. 2022, "Reducing activation recomputation", section 4.1). Logits are counted
separately, because in a small model with a large vocabulary they dominate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vila2.errors import TrainingError
from vila2.train.freezing import check_parts

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

    from vila2.recipe.parts.stage import StageSpec

# Bytes of activations per token, layer and hidden unit at two bytes a value; four bytes double it.
_ACTIVATION_BYTES = 34
_NF4_BYTES = 0.52  # four bits, and a scale for every 64 weights
_MOMENTS_BYTES = 8  # Adam's two moments in float32


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a model's memory depends on: parameters by part, and the language model's shape.

    Attributes:
        parameters: number of parameters by part.
        hidden: hidden size of the language model; None where neither weights nor configuration tell.
        layers: number of layers of the language model; None where its configuration does not tell.
        vocabulary: number of tokens that the output layer scores.
        added: number of parameters in the rows of added tokens, which learn beside adapters too.
        adapters: number of parameters that adapters of rank 1 would have.
    """

    parameters: dict[str, int]
    hidden: int | None
    layers: int | None
    vocabulary: int | None
    added: int = 0
    adapters: int = 0

    @classmethod
    def of(cls, model: PreTrainedModel) -> Sizes:
        """Sizes of a model, which may live on the meta device.

        Raises:
            ModelError: its parts cannot be told apart, so no stage could train it.
        """
        from vila2.model.generalist import parts_of
        from vila2.model.special_tokens import token_groups
        from vila2.train.lora import adapted_layers

        parts = {
            name: sum(p.numel() for p in module.parameters()) for name, module in parts_of(model).items()
        }
        hidden, layers, vocabulary = text_shape(model.config)
        # Where both are there, the layers themselves are surer than the configuration.
        embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
        rows = getattr(embedding, "weight", None)
        scores = getattr(head, "weight", None)
        tied = scores is None or scores is rows
        hidden = hidden or (rows.shape[-1] if rows is not None else None)
        vocabulary = (scores.shape[0] if scores is not None else None) or vocabulary
        count = sum(group.spec.count for group in token_groups(model.config))
        try:
            adapters = sum(sum(layer.weight.shape) for layer in adapted_layers(model).values())
        except TrainingError:  # nothing to adapt, which is said where a stage asks for it
            adapters = 0
        return cls(parts, hidden, layers, vocabulary, count * (1 if tied else 2) * (hidden or 0), adapters)


def text_shape(config: PreTrainedConfig) -> tuple[int | None, int | None, int | None]:
    """Hidden size, layers and vocabulary of a configuration's language model; None for what it omits."""
    text = config.get_text_config(decoder=True)
    if isinstance(text, Mapping):  # a sub-configuration that transformers left as it was read
        return tuple(text.get(name) for name in _SHAPE)  # type: ignore[return-value]
    hidden, layers, vocabulary = (getattr(text, name, None) for name in _SHAPE)
    return hidden, layers, vocabulary


_SHAPE = ("hidden_size", "num_hidden_layers", "vocab_size")


def training_operations(tokens: float, parameters: int, learning: int, stage: StageSpec) -> float:
    """Number of operations of training on so many tokens, those of attention's scores left out.

    Args:
        tokens: number of tokens, over all epochs.
        parameters: number of parameters that read every token.
        learning: number of those that learn.
        stage: stage to train.
    """
    # Forward and backward: 2 operations for each parameter and token; 2 more for each that learns.
    passes = 3 if stage.gradient_checkpointing else 2
    return tokens * 2 * (passes * parameters + learning)


def stage_memory(
    sizes: Sizes, stage: StageSpec, *, tokens: int, counted: int, value_bytes: int, processes: int = 1
) -> dict[str, int | None]:
    """Bytes on one device by purpose; None for what cannot be told of this model.

    Args:
        sizes: sizes of the model.
        stage: stage to train.
        tokens: length of a typical sample, in tokens.
        counted: number of its tokens for which logits are made: those that the loss counts in a model of the
            vila2 family, all of them in others.
        value_bytes: bytes of a weight: 4 for float32, 2 for bfloat16 and float16.
        processes: number of processes that train together, each on a device of its own.

    Raises:
        TrainingError: the model lacks a part that the stage trains.
    """
    from vila2.train.trainer import samples_at_a_time
    from vila2.train.zero import zero_stage

    check_parts(sizes.parameters, stage.train)
    total = sum(sizes.parameters.values())
    trained = sum(sizes.parameters[part] for part in stage.train)
    if stage.lora:
        adapters = sizes.adapters * stage.lora.rank
        trained = (
            adapters + sizes.added + sum(sizes.parameters[part] for part in stage.train if part != "language")
        )
    # A pack is as many typical samples as it has room for.
    batch = stage.pack_length / tokens if stage.pack_length else samples_at_a_time(stage, processes)
    per_layer = 2 if stage.gradient_checkpointing else _ACTIVATION_BYTES
    activations = (
        int(batch * tokens) * sizes.hidden * sizes.layers * per_layer * value_bytes // 2
        if sizes.hidden and sizes.layers
        else None
    )
    zero = zero_stage(stage, processes) or 0
    frozen = (total - trained) * value_bytes
    if stage.lora and stage.lora.quantize:
        frozen -= int(sizes.parameters["language"] * (value_bytes - _NF4_BYTES))
    # Weights that learn are float32 (see precision); DeepSpeed keeps that copy in the optimizer and shards
    # it.
    weights = frozen + trained * (value_bytes if zero else 4)
    moments = trained * (_MOMENTS_BYTES + (4 if zero and value_bytes < 4 else 0))
    return {
        "weights": weights // (processes if zero == 3 else 1),
        "gradients": trained * (value_bytes if zero else 4) // (processes if zero >= 2 else 1),
        "optimizer": moments // (processes if zero else 1),
        "activations": activations,
        "logits": 2 * int(batch * counted) * sizes.vocabulary * 4 if sizes.vocabulary else None,
    }
