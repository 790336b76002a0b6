"""Trains one stage: the step that turns a model and a mixture into the next checkpoint.

Reads from top to bottom: load, mix, freeze, train (or go on from a checkpoint), merge, save.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PrinterCallback

from vila2.data.layers import Layer
from vila2.data.mixtures import Mixture, ViewedDataset
from vila2.data.shards import ShardDataset
from vila2.data.views import View
from vila2.errors import TrainingError
from vila2.model.conversation import ConversationEncoder
from vila2.model.generalist import load_generalist
from vila2.packing.collate import Collator
from vila2.run.recipe import StageSpec
from vila2.train.checkpoints import MarkComplete, latest_checkpoint
from vila2.train.data import EncodedMixture
from vila2.train.freezing import freeze_all_but, frozen_modules
from vila2.train.lora import add_lora, check_lora, merge_lora
from vila2.train.trainer import (
    MetricsFile,
    ShowProgress,
    StageTrainer,
    StopOnBadLoss,
    optimiser_steps,
    training_arguments,
)
from vila2.train.words import WordsObjective

log = logging.getLogger("vila2.train")


def train_stage(
    folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path], progress: Any
) -> dict[str, Any]:
    """Trains a model on a mixture.

    Args:
        folder: of this step; ``folder/model`` is the result, checkpoints lie beside it while it runs.
        settings: ``name``, ``stage`` (a :class:`StageSpec` as a dict), ``seed``, ``dtype``.
        inputs: ``model`` (a step whose folder holds ``model/``), ``data.NAME`` (datasets) and
            ``layer.NAME`` (annotation layers).
        progress: shows the steps.

    Returns:
        What the report shows of a stage: the loss curve, what was trained, on how many samples.

    Raises:
        TrainingError: nothing to train on, or a stage that does not fit the model.
    """
    name, seed = settings["name"], settings["seed"]
    stage = StageSpec.model_validate(settings["stage"])
    check_lora(stage)
    quantize = stage.lora.quantize if stage.lora else None
    source = inputs["model"] / "model"
    generalist = load_generalist(source, dtype=settings["dtype"], device="cpu", quantize=quantize)
    model, processor = generalist.model, generalist.processor
    mixture = open_mixture(stage, inputs, seed)
    states = freeze_all_but(model, stage.train)
    frozen = frozen_modules(model, stage.train)
    for state in states:
        log.info("stage %s: %s", name, state)
    if stage.lora:
        model = add_lora(model, stage)
    objective = None
    if stage.objective == "words":
        objective = WordsObjective(model.get_input_embeddings().weight, mixture, processor.tokenizer)
    learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
    steps = optimiser_steps(len(mixture), stage)
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / "tensorboard")
    with progress.task(f"train {name}", steps) as task:
        trainer = StageTrainer(
            model=model,
            args=training_arguments(folder, stage, steps=steps, seed=seed, dtype=settings["dtype"]),
            train_dataset=EncodedMixture(
                mixture, ConversationEncoder(processor, max_length=stage.max_length), stage.style
            ),
            data_collator=Collator(processor.tokenizer.pad_token_id),
            callbacks=[
                MarkComplete(),
                MetricsFile(folder / "metrics.jsonl"),
                ShowProgress(task),
                StopOnBadLoss(),
            ],
            frozen=frozen,
            objective=objective,
        )
        trainer.remove_callback(PrinterCallback)  # the progress shows the loss
        trainer.train(resume_from_checkpoint=latest_checkpoint(folder))
    model = trainer.model
    if stage.lora:
        plain = load_generalist(source, dtype=settings["dtype"], device="cpu").model if quantize else None
        model = merge_lora(model, stage, plain=plain)
    save_model(model, processor, folder / "model")
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    return {
        "trained": [state.name for state in states if state.trained],
        "parameters_trained": learning,
        "samples": len(mixture),
        "dropped": mixture.dropped,
        "steps": steps,
        "loss": [[entry["step"], entry["loss"]] for entry in trainer.state.log_history if "loss" in entry],
    }


def open_mixture(stage: StageSpec, inputs: Mapping[str, Path], seed: int) -> Mixture:
    """The stage's datasets, each through its view, by weight.

    Raises:
        TrainingError: no sample of any dataset can be used.
    """
    parts = []
    for entry in stage.mixture:
        view = View.parse(entry.view)
        layers = {layer: Layer.open(inputs[f"layer.{layer}"]) for layer in view.layers if layer != "original"}
        dataset = ShardDataset.open(inputs[f"data.{entry.dataset}"])
        parts.append((ViewedDataset(dataset, view, layers), entry.weight))
    mixture = Mixture(parts, seed)
    if not len(mixture):
        names = ", ".join(f"{entry.dataset} through {entry.view}" for entry in stage.mixture)
        raise TrainingError(f"no usable sample in the mixture: {names}", mend="look with `vila2 data stats`")
    return mixture


def save_model(model: Any, processor: Any, folder: Path) -> None:
    """Saves model and processor as one folder that appears whole or not at all."""
    partial = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    processor.save_pretrained(partial)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
