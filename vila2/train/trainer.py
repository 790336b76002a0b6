"""The trainer of one stage: transformers' own, told what a stage is."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from vila2.errors import TrainingError

if TYPE_CHECKING:
    from vila2.run.recipe import StageSpec
    from vila2.train.words import WordsObjective


class StageTrainer(Trainer):
    """Keeps frozen parts in eval mode while the rest of the model trains.

    Args:
        frozen: these parts.
        objective: gives the loss of a model and a batch, in place of the model's own.
    """

    def __init__(
        self,
        *args: Any,
        frozen: list[torch.nn.Module],
        objective: WordsObjective | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.frozen = frozen
        self.objective = objective

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any):
        # The Trainer calls model.train() at every step; a frozen part must not wake up with it.
        for module in self.frozen:
            module.eval()
        if self.objective is None:
            return super().compute_loss(model, inputs, *args, **kwargs)
        loss = self.objective(model, inputs)
        # Told how many tokens a whole step counts, the Trainer takes the loss for a share of the step's.
        whole_step = self.model_accepts_loss_kwargs and kwargs.get("num_items_in_batch") is not None
        return loss / self.current_gradient_accumulation_steps if whole_step else loss


class MetricsFile(TrainerCallback):
    """Writes what the trainer logs to a JSONL file, one object per logging step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(self, args, state, control, **kwargs):
        # After a resume the history up to the checkpoint stands, and nothing after it.
        self.path.write_text("".join(json.dumps(entry) + "\n" for entry in state.log_history))

    def on_log(self, args, state, control, logs=None, **kwargs):
        with self.path.open("a") as file:
            file.write(json.dumps(state.log_history[-1]) + "\n")


class StopOnBadLoss(TrainerCallback):
    """Ends a stage whose loss is no number, before it spoils the run."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {state.global_step}",
                mend="lower the stage's learning_rate, or train in float32 or bfloat16 instead of float16",
            )


class ShowProgress(TrainerCallback):
    """Feeds the live display."""

    def __init__(self, task: Any) -> None:
        self.task = task
        self.seen = 0
        self.note = ""

    def on_train_begin(self, args, state, control, **kwargs):
        self._advance(state)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs and "loss" in logs:
            self.note = f"loss {logs['loss']:.3f}"

    def on_step_end(self, args, state, control, **kwargs):
        self._advance(state)

    def _advance(self, state) -> None:
        self.task.advance(state.global_step - self.seen, note=self.note)
        self.seen = state.global_step


def optimiser_steps(samples: int, stage: StageSpec) -> int:
    """How many optimiser steps a stage takes over ``samples`` samples."""
    if stage.max_steps is not None:
        return stage.max_steps
    return max(1, math.ceil(samples * stage.epochs / stage.batch_size))


def training_arguments(
    folder: Path, stage: StageSpec, *, steps: int, seed: int, dtype: str
) -> TrainingArguments:
    """A stage's settings in the Trainer's words (paper A.5, Table 8)."""
    device_batch = stage.device_batch_size or stage.batch_size
    world = int(os.environ.get("WORLD_SIZE", "1"))
    accumulation, rest = divmod(stage.batch_size, device_batch * world)
    if rest or not accumulation:
        raise TrainingError(
            f"batch_size {stage.batch_size} is no multiple of device_batch_size {device_batch} x {world} devices",
            mend="choose a device_batch_size that divides it",
        )
    cuda = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=device_batch,
        gradient_accumulation_steps=accumulation,
        learning_rate=stage.learning_rate,
        lr_scheduler_type={"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}[
            stage.schedule
        ],
        warmup_steps=math.ceil(stage.warmup_ratio * steps),
        weight_decay=stage.weight_decay,
        activation_checkpointing=stage.gradient_checkpointing,
        bf16=cuda and dtype == "bfloat16",
        fp16=cuda and dtype == "float16",
        deepspeed=deepspeed_settings(stage.deepspeed) if world > 1 and stage.deepspeed else None,
        # The last layers of a vision tower that is read at an inner layer get no gradient.
        ddp_find_unused_parameters="vision" in stage.train,
        logging_steps=max(1, steps // 100),
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=stage.save_steps or 500,
        save_total_limit=1,
        seed=seed,
        data_seed=seed,
        use_cpu=not cuda,
        dataloader_num_workers=4 if cuda else 0,
        dataloader_pin_memory=cuda,
        remove_unused_columns=False,
        report_to=["tensorboard"],
        disable_tqdm=True,
        log_level="error",
    )
    if world == 1:
        arguments._n_gpu = min(
            1, arguments.n_gpu
        )  # else one process would spread over all GPUs as DataParallel
    return arguments


def deepspeed_settings(zero: int) -> dict[str, Any]:
    """DeepSpeed ZeRO as in the paper's Table 8 (stage 2 for align, 3 for the rest)."""
    return {
        "zero_optimization": {"stage": zero, "overlap_comm": True, "contiguous_gradients": True},
        "bf16": {"enabled": "auto"},
        "fp16": {"enabled": "auto"},
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
    }
