"""The trainer of one stage: transformers' own, told what a stage is."""

from __future__ import annotations

import inspect
import json
import math
import os
from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from vila2.errors import TrainingError
from vila2.model.losses import SoftTokenLoss
from vila2.model.weights import Fit, decide
from vila2.progress import Task
from vila2.train.order import StageLoader, StepOrder
from vila2.train.precision import computed_in
from vila2.train.sign_of_life import longest_stand
from vila2.train.zero import deepspeed_settings, zero_stage

if TYPE_CHECKING:
    from vila2.recipe.parts.stage import StageSpec
    from vila2.train.words_objective import WordsObjective


class StageTrainer(Trainer):
    """Keeps frozen parts in eval mode while the rest of the model trains, and reads in the stage's own order.

    Args:
        frozen: modules that are not trained.
        batch_size: number of items in one optimizer step, over all processes.
        soft_loss: the model's loss function, where the model has soft tokens; its excess over the entropy
            floor is logged as ``soft_excess``, in nats per soft token.
        objective: loss of a model and a batch, in place of the model's own.
    """

    objective: WordsObjective | None  # the Trainer has an attribute of this name, without a type

    def __init__(
        self,
        *args: Any,
        frozen: list[torch.nn.Module],
        batch_size: int,
        soft_loss: SoftTokenLoss | None = None,
        objective: WordsObjective | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.frozen = frozen
        self.batch_size = batch_size
        self.soft_loss = soft_loss
        self.objective = objective

    def get_train_dataloader(self) -> StageLoader:
        """The mixture in the order that is the same for every number of processes."""
        args = self.args
        dataset = cast("Dataset[Any]", self.train_dataset)
        order = StepOrder(
            len(cast(Sized, dataset)),
            seed=args.seed if args.data_seed is None else args.data_seed,
            batch_size=self.batch_size,
            device_batch_size=args.per_device_train_batch_size,
            processes=args.world_size,
            process=args.process_index,
        )
        return StageLoader(
            dataset,
            batch_sampler=order,
            collate_fn=self.data_collator,
            num_workers=args.dataloader_num_workers,
            pin_memory=args.dataloader_pin_memory,
        )

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        # A checkpoint that lacks weights would be resumed with those that the stage began with.
        state = cast(torch.nn.Module, self.model).state_dict()
        lacking = set(load_result.missing_keys)
        there = {value.data_ptr() for name, value in state.items() if name not in lacking}
        fit = Fit(
            used=len(state) - len(lacking),
            # Tied weights are saved once.
            missing=tuple(sorted(name for name in lacking if state[name].data_ptr() not in there)),
            unexpected=tuple(sorted(load_result.unexpected_keys)),
        )
        decide(
            fit,
            what="checkpoint in",
            name=str(self.args.output_dir),
            whole=True,
            hint="delete it to train the stage anew",
        )

    @property
    def tokens(self) -> int:
        """Number of tokens read so far, with padding, over all processes, those before a resume included."""
        return cast(int, self.state.num_input_tokens_seen * self.args.world_size)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # Resumed from the checkpoint of its last step, the Trainer would take one more step before it stops.
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
            return
        # Transformers 5.16 does not tell a loader that skips what was read before a resume: it would read the
        # rest of the first epoch's order.
        kwargs["train_dataloader"].set_epoch(kwargs["epoch"])
        cast(Any, super())._run_epoch(*args, **kwargs)

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        # Counted by shape: the Trainer's own count waits for the GPU at every step.
        self.state.num_input_tokens_seen += inputs["input_ids"].numel()
        return super().training_step(model, inputs, *args, **kwargs)

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        self.keep_frozen_asleep()
        if self.objective is None:
            return super().compute_loss(model, inputs, *args, **kwargs)
        loss = self.objective(model, inputs)
        # Told how many tokens a whole step counts, the Trainer takes the loss for a share of the step's.
        whole_step = self.model_accepts_loss_kwargs and kwargs.get("num_items_in_batch") is not None
        return loss / self.current_gradient_accumulation_steps if whole_step else loss

    def keep_frozen_asleep(self) -> None:
        """Puts the frozen parts into eval mode: the Trainer wakes up all parts at every step."""
        for module in self.frozen:
            module.eval()

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if self.soft_loss is not None and "loss" in logs:
            logs |= self._soft_excess(self.soft_loss)
        super().log(logs, *args, **kwargs)

    def _soft_excess(self, soft_loss: SoftTokenLoss) -> dict[str, float]:
        if not soft_loss.calls:
            raise TrainingError(
                f"{type(self.accelerator.unwrap_model(self.model)).__name__} computes a loss of its own,"
                " so its soft tokens would be trained as ordinary ones",
                hint="give the token groups loss: ce, or use a model that takes transformers' loss_function",
            )
        excess, targets = self.accelerator.reduce(soft_loss.take(self.args.device), "sum").tolist()
        return {"soft_excess": excess / targets} if targets else {}


class MetricsFile(TrainerCallback):
    """Writes what the trainer logs to a JSONL file, one object per logging step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not state.is_world_process_zero:
            return
        # After a resume the history up to the checkpoint stands, and nothing after it.
        self.path.write_text("".join(json.dumps(entry) + "\n" for entry in state.log_history))

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            with self.path.open("a") as file:
                file.write(json.dumps(state.log_history[-1]) + "\n")


class StopOnBadLoss(TrainerCallback):
    """Ends a stage whose loss is not a finite number, before it spoils the run."""

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        loss = (kwargs.get("logs") or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {state.global_step}",
                hint="lower the stage's learning_rate, or train in float32 or bfloat16 instead of float16",
            )


class ShowProgress(TrainerCallback):
    """Feeds the live display.

    Args:
        task: display of the optimizer steps.
        about: text that is always shown beside the loss.
    """

    def __init__(self, task: Task, about: str = "") -> None:
        self.task = task
        self.seen = 0
        self.about = about
        self.note = about

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._advance(state)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        logs = kwargs.get("logs")
        if logs and "loss" in logs:
            self.note = f"loss {logs['loss']:.3f}" + (f", {self.about}" if self.about else "")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._advance(state)

    def _advance(self, state: TrainerState) -> None:
        self.task.advance(state.global_step - self.seen, note=self.note)
        self.seen = state.global_step


def optimizer_steps(samples: int, stage: StageSpec) -> int:
    """Number of optimizer steps that a stage takes over ``samples`` samples."""
    if stage.max_steps is not None:
        return stage.max_steps
    return max(1, math.ceil(samples * stage.epochs / stage.batch_size))


#: Name of the argument, which transformers 5.16 to 5.19 know by its older name alone.
_CHECKPOINTING = next(
    name
    for name in ("activation_checkpointing", "gradient_checkpointing")
    if name in inspect.signature(TrainingArguments).parameters
)


def training_arguments(
    folder: Path, stage: StageSpec, *, steps: int, seed: int, dtype: str
) -> TrainingArguments:
    """A stage's settings in the Trainer's words (paper A.5, Table 8)."""
    world = processes_of_this_training()
    device_batch = samples_at_a_time(stage, world)
    zero = zero_stage(stage, world)
    cuda = torch.cuda.is_available()
    checkpointing: dict[str, Any] = {_CHECKPOINTING: stage.gradient_checkpointing}
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=device_batch,
        gradient_accumulation_steps=math.ceil(stage.batch_size / (device_batch * world)),
        learning_rate=stage.learning_rate,
        lr_scheduler_type={"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}[
            stage.schedule
        ],
        warmup_steps=math.ceil(stage.warmup_ratio * steps),
        weight_decay=stage.weight_decay,
        **checkpointing,
        bf16=computed_in(dtype) == "bfloat16",
        fp16=computed_in(dtype) == "float16",
        deepspeed=deepspeed_settings(zero) if zero else None,
        # The last layers of a vision tower that is read at an inner layer get no gradient, nor does a
        # visual expert without an image.
        ddp_find_unused_parameters=not {"vision", "visual_expert"}.isdisjoint(stage.train),
        logging_steps=max(1, steps // 100),
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=stage.save_steps or 500,
        # Longer than vila2.train.processes waits, which says where each process stands.
        ddp_timeout=math.ceil(2 * longest_stand(stage.process_timeout)),
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
        # Else one process would spread over all GPUs as DataParallel.
        arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def processes_of_this_training() -> int:
    """Number of processes that train together, this one included."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Whether this process is the first of those that train together, or trains alone."""
    return os.environ.get("RANK", "0") == "0"


def samples_at_a_time(stage: StageSpec, processes: int) -> int:
    """Number of samples in one forward pass on one process."""
    share = math.ceil(stage.batch_size / processes)
    return min(stage.device_batch_size or share, share)
