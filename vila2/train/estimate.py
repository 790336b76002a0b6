"""How much memory a stage will take, before it takes it.

An estimate, not a promise: weights, gradients and Adam's two moments are exact; activations follow
the usual count of a transformer layer (Korthikanti et al. 2022, "Reducing activation recomputation",
section 4.1) and logits are counted apart, because a small model with a large vocabulary is all logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vila2.train.freezing import check_parts

if TYPE_CHECKING:
    from vila2.run.recipe import StageSpec

# Bytes of activations per token, layer and hidden unit at two bytes a value; four bytes double it.
_ACTIVATION_BYTES = 34
_NF4_BYTES = 0.52  # four bits, and a scale for every 64 weights
_MOMENTS_BYTES = 8  # Adam's two moments in float32


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a model's memory depends on: parameters by part, and the language model's shape.

    Attributes:
        added: parameters of the rows of added tokens, which learn beside adapters too.
    """

    parameters: dict[str, int]
    hidden: int
    layers: int
    vocabulary: int
    added: int = 0

    @classmethod
    def of(cls, model: torch.nn.Module) -> Sizes:
        """Sizes of a model, which may live on the meta device."""
        from vila2.model.generalist import parts_of
        from vila2.model.special_tokens import token_groups

        text = model.config.get_text_config()
        parts = {
            name: sum(p.numel() for p in module.parameters()) for name, module in parts_of(model).items()
        }
        rows = sum(group.spec.count for group in token_groups(model.config))
        sides = 1 if text.tie_word_embeddings else 2
        added = rows * sides * text.hidden_size
        return cls(parts, text.hidden_size, text.num_hidden_layers, text.vocab_size, added)


def stage_memory(
    sizes: Sizes, stage: StageSpec, *, tokens: int, counted: int, value_bytes: int, processes: int = 1
) -> dict[str, int]:
    """Bytes on one device by purpose.

    Args:
        sizes: of the model.
        stage: what is trained, and how.
        tokens: length of a typical sample.
        counted: those of its tokens for which logits are made, which are the ones that the loss counts in a
            model of our family and all of them in others.
        value_bytes: 4 for float32, 2 for bfloat16 and float16.
        processes: that train together, each on a device of its own.

    Raises:
        TrainingError: the model has no such part to train.
    """
    from vila2.train.trainer import samples_at_a_time
    from vila2.train.zero import zero_stage

    check_parts(sizes.parameters, stage.train)
    total = sum(sizes.parameters.values())
    trained = sum(sizes.parameters[part] for part in stage.train)
    if stage.lora:
        # Two factors of rank r on each of the seven linear maps of a layer, about 2 h r each.
        adapters = 14 * sizes.layers * sizes.hidden * stage.lora.rank
        trained = (
            adapters + sizes.added + sum(sizes.parameters[part] for part in stage.train if part != "language")
        )
    # A pack is as many typical samples as it has room for.
    batch = stage.pack_length / tokens if stage.pack_length else samples_at_a_time(stage, processes)
    per_layer = 2 if stage.gradient_checkpointing else _ACTIVATION_BYTES
    activations = int(batch * tokens) * sizes.hidden * sizes.layers * per_layer * value_bytes // 2
    zero = zero_stage(stage, processes) or 0
    frozen = (total - trained) * value_bytes
    if stage.lora and stage.lora.quantize:
        frozen -= int(sizes.parameters["language"] * (value_bytes - _NF4_BYTES))
    # What learns is float32 (see precision); DeepSpeed counts that copy to the optimiser's and shares it out.
    weights = frozen + trained * (value_bytes if zero else 4)
    moments = trained * (_MOMENTS_BYTES + (4 if zero and value_bytes < 4 else 0))
    return {
        "weights": weights // (processes if zero == 3 else 1),
        "gradients": trained * (value_bytes if zero else 4) // (processes if zero >= 2 else 1),
        "optimiser": moments // (processes if zero else 1),
        "activations": activations,
        "logits": 2 * int(batch * counted) * sizes.vocabulary * 4,
    }
