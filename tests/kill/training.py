"""A stage of training, made small: three checkpoints, of which older ones are removed, and a saved model."""

from __future__ import annotations

from pathlib import Path

from tests.kill.trials import Job
from vila2.data.shards import write_dataset
from vila2.model.assemble import assemble
from vila2.model.saving import save_model
from vila2.recipe.parts.stage import STAGE_DEFAULTS, StageSpec
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings

STEPS = 5
#: Files that tell when and how fast a stage was trained, so no two stages write the same.
TIMED = ("tensorboard/*", "metrics.jsonl")


def settings() -> TrainSettings:
    """Steps in the middle of an epoch, and a rate that does not change, so a step too many is seen."""
    changes = {
        "mixture": [{"dataset": "pairs"}],
        "batch_size": 4,
        "max_steps": STEPS,
        "save_steps": 2,
        "schedule": "constant",
    }
    stage = StageSpec.model_validate(STAGE_DEFAULTS["align"] | changes)
    return TrainSettings(name="align", stage=stage, seed=0, dtype="float32")


def inputs(folder: Path) -> None:
    """A dataset and the model that the stage begins with."""
    samples = open_source("world", split="sft", count=12, content="alt_text", questions=1)
    write_dataset(folder / "pairs", samples, name="pairs")
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, folder / "parts" / "model")
    (folder / "out").mkdir()


def train(folder: Path) -> None:
    """The step of a run that trains a stage."""
    given = {"model": folder / "parts", "data.pairs": folder / "pairs"}
    train_stage(folder / "out", settings(), given, Board())


TRAINING_JOB = Job("training", inputs, train, varies=TIMED)
