"""DeepSpeed ZeRO: weights, gradients and optimizer state sharded over the processes of a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from vila2.recipe.parts.stage import StageSpec


def zero_stage(stage: StageSpec, processes: int) -> int | None:
    """The stage of ZeRO; None for one process, which has no other to share with."""
    return stage.deepspeed if processes > 1 else None


def deepspeed_settings(zero: int) -> dict[str, Any]:
    """DeepSpeed's settings, as in the paper's Table 8 (ZeRO-2 for align, 3 for the rest).

    Args:
        zero: stage of ZeRO: 1 shards the optimizer state, 2 also gradients, 3 also weights.
    """
    if not torch.cuda.is_available():
        # Else DeepSpeed compiles C++ kernels before the first step, which gloo does not need.
        import deepspeed

        deepspeed.ops.__compatible_ops__ = {}
    return {
        "zero_optimization": {
            "stage": zero,
            "overlap_comm": True,
            "contiguous_gradients": True,
            "stage3_gather_16bit_weights_on_model_save": True,
        },
        "bf16": {"enabled": "auto"},
        "fp16": {"enabled": "auto"},
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
    }
