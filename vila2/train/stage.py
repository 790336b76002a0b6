"""Trains one stage: the step that turns a model and a mixture into the next checkpoint.

Reads from top to bottom: load, mix, freeze, feed, train (or resume from a checkpoint), merge, save.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, cast

import torch
from transformers import PreTrainedModel, PrinterCallback, set_seed
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from vila2.data.mixtures import Mixture
from vila2.errors import TrainingError
from vila2.model.generalist import Generalist, load_generalist
from vila2.model.losses import use_soft_loss
from vila2.model.resolution import set_image_size
from vila2.model.saving import save_model
from vila2.model.seen_before import remember_pictures
from vila2.model.special_tokens import token_groups
from vila2.model.weights import fit_state
from vila2.progress import Progress
from vila2.recipe.parts.stage import StageSpec
from vila2.run.step_kinds import Inputs
from vila2.train.checkpoints import MarkComplete, latest_checkpoint, remove_all, remove_torn
from vila2.train.equal_compute import with_equal_compute
from vila2.train.feed import Feed, feed
from vila2.train.freezing import PartState, freeze_all_but, frozen_modules
from vila2.train.kernels import use_liger
from vila2.train.lora import add_lora, merge_lora
from vila2.train.mixture import open_mixture
from vila2.train.pairs_feed import PreferenceMixture
from vila2.train.precision import computed_in, keep_learning_weights_whole
from vila2.train.preference_objective import PreferenceObjective
from vila2.train.preference_trainer import PreferenceTrainer
from vila2.train.stage_checks import check_stage
from vila2.train.train_settings import TrainSettings
from vila2.train.trained import keep_trained, read_trained
from vila2.train.trainer import (
    MetricsFile,
    ShowProgress,
    StageTrainer,
    StopOnBadLoss,
    is_first_process,
    optimizer_steps,
    processes_of_this_training,
    training_arguments,
)
from vila2.train.words_objective import WordsObjective
from vila2.train.zero import zero_stage

log = logging.getLogger("vila2.train")


def train_stage(folder: Path, settings: TrainSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Trains a model on a mixture, or returns what an earlier process trained to the end.

    Args:
        folder: folder of the step; ``folder/model`` is the result, checkpoints lie beside it during training.
        settings: the stage, its seed and the type of the weights.
        inputs: ``model`` (a step whose folder holds ``model/``), ``data.NAME`` (datasets) and
            ``layer.DATASET.NAME`` (annotation layers).
        progress: display of the steps.

    Returns:
        What the report shows of a stage: the loss curve, what was trained, on how many samples.

    Raises:
        TrainingError: nothing to train on, too many samples left out, or a stage that does not fit the model.
    """
    results = read_trained(folder)
    if results is None:
        return _train(folder, settings, inputs, progress)
    if is_first_process():
        remove_all(folder)  # left by a kill right after the model was saved
    return results


def _train(folder: Path, settings: TrainSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    stage, seed, dtype = settings.stage, settings.seed, computed_in(settings.dtype)
    processes = processes_of_this_training()
    check_stage(stage, processes)
    source = inputs["model"] / "model"
    generalist = starting_model(source, stage, dtype)
    if settings.equal_compute:
        stage = with_equal_compute(
            stage, settings.equal_compute, inputs, generalist.processor, seed, progress
        )
    mixture = open_mixture(stage, inputs, seed, settings.name)
    soft_loss = use_soft_loss(generalist.model)
    fed = feed(
        stage,
        mixture,
        generalist,
        folder,
        seed=seed,
        processes=processes,
        progress=progress,
        name=settings.name,
    )
    mixture = fed.fitting.mixture
    frozen = frozen_modules(generalist.model, stage.train)
    zero = zero_stage(stage, processes)
    # Under ZeRO-3 all processes gather the tower's weights together, so none may skip what it has seen.
    if "vision" not in stage.train and zero != 3:
        remember_pictures(generalist.model)
    model, states = ready_to_learn(generalist.model, stage, seed=seed, name=settings.name, zero=zero)
    learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
    steps = optimizer_steps(len(fed.dataset), fed.stage)
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / "tensorboard")  # read while the trainer is made
    with progress.task(f"train {settings.name}", steps) as task:
        trainer = make_trainer(
            stage,
            generalist,
            model=model,
            args=training_arguments(folder, fed.stage, steps=steps, seed=seed, dtype=dtype),
            train_dataset=fed.dataset,
            data_collator=fed.collator,
            callbacks=[
                MarkComplete(processes, zero),
                MetricsFile(folder / "metrics.jsonl"),
                ShowProgress(task, fed.about),
                StopOnBadLoss(),
            ],
            frozen=frozen,
            batch_size=fed.stage.batch_size,
            soft_loss=soft_loss,
            objective=words_objective(stage, model, mixture, generalist.processor.tokenizer),
        )
        if isinstance(trainer, PreferenceTrainer) and isinstance(fed.dataset, PreferenceMixture):
            trainer.refer(fed.dataset, folder, progress)
        train_or_resume(trainer, folder, processes=processes, zero=zero)
    results = {
        "trained": [state.name for state in states if state.trained],
        "parameters_trained": learning,
        **_what_was_fed(fed, steps),
        **what_was_read(mixture, trainer),
        **fed.fitting.results,
    }
    model = trained_model(trainer, stage, source, dtype)
    if trainer.is_world_process_zero():
        model.to(getattr(torch, settings.dtype))
        save_model(model, generalist.processor, folder / "model")
        keep_trained(folder, results)
        remove_all(folder)
    return results


def make_trainer(stage: StageSpec, generalist: Generalist, **settings: Any) -> StageTrainer:
    """The trainer of a stage's objective."""
    if stage.objective != "preference":
        return StageTrainer(**settings)
    preference = PreferenceObjective(stage.preference, generalist.model)
    return PreferenceTrainer(**settings, preference=preference)


def train_or_resume(trainer: StageTrainer, folder: Path, *, processes: int, zero: int | None) -> None:
    """Trains from the last complete checkpoint in a stage's folder, or from the beginning."""
    trainer.remove_callback(PrinterCallback)  # the progress shows the loss
    if trainer.is_world_process_zero():
        remove_torn(folder)
    checkpoint = latest_checkpoint(folder, processes=processes, zero=zero)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def _what_was_fed(fed: Feed, steps: int) -> dict[str, Any]:
    return {"packing": fed.results, "taken_apart": fed.apart, "steps": steps}


def what_was_read(mixture: Mixture, trainer: StageTrainer) -> dict[str, Any]:
    """What a stage was trained on, how many tokens of it were read, and how the loss fell."""
    return {
        "samples": len(mixture),
        "dropped": mixture.dropped,
        "short": mixture.short,
        "lacking": mixture.lacking,
        "tokens": trainer.tokens,
        "loss": [[entry["step"], entry["loss"]] for entry in trainer.state.log_history if "loss" in entry],
        **({"preferred": preferred} if (preferred := _preferred(trainer)) else {}),
    }


def _preferred(trainer: StageTrainer) -> list[list[float]]:
    """The share of pairs that are told apart, and by how many nats, by step; empty without pairs."""
    return [
        [entry["step"], round(entry["preferred"], 4), round(entry["margin"], 4)]
        for entry in trainer.state.log_history
        if "preferred" in entry
    ]


def starting_model(source: Path, stage: StageSpec, dtype: str) -> Generalist:
    """The model that a stage begins with, at its resolution, and in 4 bits where its adapters ask for it."""
    quantize = stage.lora.quantize if stage.lora else None
    generalist = load_generalist(source, dtype=dtype, device="cpu", quantize=quantize)
    if stage.image_size:
        set_image_size(generalist.model, generalist.processor, stage.image_size)
    return generalist


def words_objective(stage: StageSpec, model: Any, mixture: Mixture, tokenizer: Any) -> WordsObjective | None:
    """What computes the loss in place of the model, where the stage aligns by words."""
    if stage.objective != "words":
        return None
    return WordsObjective(model.get_input_embeddings().weight, mixture, tokenizer)


def ready_to_learn(
    model: PreTrainedModel, stage: StageSpec, *, seed: int, name: str, zero: int | None
) -> tuple[Any, tuple[PartState, ...]]:
    """Freezes all but what learns, and adds adapters where the stage asks for them.

    Returns:
        The model, and the state of its parts.
    """
    states = freeze_all_but(model, stage.train)
    for state in states:
        log.info("stage %s: %s", name, state)
    if stage.liger and (why := use_liger(model)):
        log.warning("stage %s: trained without the kernels of liger: %s", name, why)
    set_seed(seed)  # adapters begin at random
    if stage.lora and zero == 3 and token_groups(model.config):
        raise TrainingError(
            "under ZeRO-3 LoRA cannot train added tokens: their rows lie in layers that are sharded",
            hint="deepspeed: 2, or leave lora out",
        )
    learner: Any = add_lora(model, stage) if stage.lora else model
    if not zero:
        keep_learning_weights_whole(learner)
    return learner, states


def trained_model(trainer: StageTrainer, stage: StageSpec, source: Path, dtype: str) -> Any:
    """The trained model in one piece with its adapters folded in; None on all processes but the first.

    Where the trainer holds it in shards (ZeRO-3) or in 4 bits, it is put together from the model that the
    stage began with and what was learned.
    """
    sharded = zero_stage(stage, trainer.args.world_size) == 3
    gathered = trainer.accelerator.get_state_dict(trainer.deepspeed) if sharded else None
    if not trainer.is_world_process_zero():
        return None
    if not sharded and not (stage.lora and stage.lora.quantize):
        return merge_lora(trainer.model, stage) if stage.lora else trainer.model
    unset_hf_deepspeed_config()  # else the model would be loaded in shards again
    plain = starting_model(source, stage.model_copy(update={"lora": None}), dtype).model
    if stage.lora:
        return merge_lora(trainer.model, stage, plain=plain, state=gathered)
    fit_state(plain, cast("dict[str, torch.Tensor]", gathered), what="model trained from", name=source)
    return plain
