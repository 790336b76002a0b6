"""Weights damaged between two runs, or by the training itself: a stage never resumes from or saves them."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from vila2.data.shards import write_dataset
from vila2.errors import ModelError, TrainingError
from vila2.model.assemble import assemble
from vila2.model.saving import save_model
from vila2.recipe.parts.stage import STAGE_DEFAULTS, StageSpec
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("inputs")
    samples = open_source("world", split="sft", count=4, content="alt_text")
    write_dataset(folder / "pairs", samples, name="pairs")
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, folder / "parts" / "model")
    return {"model": folder / "parts", "data.pairs": folder / "pairs"}


def settings(**changes):
    given = {"mixture": [{"dataset": "pairs"}], "batch_size": 2, "save_steps": 2, "max_steps": 4} | changes
    stage = StageSpec.model_validate(STAGE_DEFAULTS["align"] | given)
    return TrainSettings(name="align", stage=stage, seed=0, dtype="float32")


class StoppedAt:
    """A display that ends the training at a step, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self.left = step

    @contextmanager
    def task(self, label: str, total: int | None = None):
        def advance(count: int = 1, note: str = "") -> None:
            if label.startswith("train"):
                self.left -= count
                if self.left < 0:
                    raise KeyboardInterrupt

        yield SimpleNamespace(advance=advance)


@pytest.fixture
def stopped(inputs, tmp_path) -> Path:
    """The folder of a stage that was stopped behind its checkpoint of step 2."""
    with pytest.raises(KeyboardInterrupt):
        train_stage(tmp_path, settings(), inputs, StoppedAt(2))
    assert (tmp_path / "checkpoint-2" / "complete").is_file()
    return tmp_path


def test_a_checkpoint_goes_on(inputs, stopped) -> None:
    assert train_stage(stopped, settings(), inputs, Board())["steps"] == 4


def test_a_checkpoint_that_was_cut_off(inputs, stopped) -> None:
    file = stopped / "checkpoint-2" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4000])
    with pytest.raises(
        TrainingError, match=r"checkpoint-2/model.safetensors is truncated[\s\S]*hint: delete"
    ):
        train_stage(stopped, settings(), inputs, Board())


def test_a_checkpoint_that_lacks_weights(inputs, stopped) -> None:
    file = stopped / "checkpoint-2" / "model.safetensors"
    kept = {name: value for name, value in load_file(file).items() if "projector" not in name}
    save_file(kept, file, {"format": "pt"})
    with pytest.raises(
        ModelError, match=r"weights of the checkpoint .* missing: \S*projector[\s\S]*hint: delete"
    ):
        train_stage(stopped, settings(), inputs, Board())


def test_a_stage_whose_last_step_spoils_the_weights_is_not_done(inputs, tmp_path) -> None:
    # The loss of the only step is that of the weights before it.
    spec = settings(learning_rate=1e38, weight_decay=1e38, max_steps=1, warmup_ratio=0.0)
    with pytest.raises(ModelError, match=r"no numbers .*projector[\s\S]*learning_rate"):
        train_stage(tmp_path, spec, inputs, Board())
    assert not (tmp_path / "model").exists()
