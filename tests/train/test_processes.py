"""Several processes: the losses of one, whatever the batches hold; and what a killed process leaves."""

import importlib.util
import json
import os
from pathlib import Path

import psutil
import pytest
import torch

from vila2.cycle import work
from vila2.data.sample import ImagePart, Sample, TextPart, Turn
from vila2.data.shards import write_dataset
from vila2.errors import TrainingError
from vila2.model.assemble import assemble
from vila2.model.generalist import load_generalist
from vila2.run.progress import Board
from vila2.run.recipe import StageSpec
from vila2.sources import open_source
from vila2.train.order import StepOrder
from vila2.train.stage import save_model

SAME = {"abs": 1e-4}
needs_deepspeed = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None, reason="deepspeed is not installed"
)


def mixed_samples():
    """Text alone, one image, several images, and images between texts, in runs so that whole batches are alike."""
    images = [sample.images[0] for sample in open_source("world", split="sft", count=6, content="alt_text")]

    def sample(key, *parts):
        used = tuple(images[part.index] for part in parts if isinstance(part, ImagePart))
        numbered = iter(range(len(used)))
        parts = tuple(ImagePart(next(numbered)) if isinstance(p, ImagePart) else TextPart(p) for p in parts)
        answer = Turn("assistant", (TextPart("a red ball and a blue box"),))
        return Sample(key=key, images=used, turns=(Turn("user", parts), answer))

    for n in range(6):
        yield sample(f"text-{n}", "what is red ?")
        yield sample(f"text-too-{n}", "what is left of the box ?")
    for n in range(3):
        yield sample(f"one-{n}", ImagePart(n), "what is there ?")
        yield sample(f"two-{n}", ImagePart(n), ImagePart(n + 1), "what is in both ?")
        yield sample(f"between-{n}", "before", ImagePart(n), "and then", ImagePart(5 - n), "what came ?")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_dataset(
        folder / "pairs", open_source("world", split="sft", count=22, content="alt_text"), name="pairs"
    )
    write_dataset(folder / "mixed", mixed_samples(), name="mixed")
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, folder / "parts" / "model")
    return {
        "model": folder / "parts",
        "data.pairs": folder / "pairs",
        "data.mixed": folder / "mixed",
    }


def settings(processes, **changes):
    stage = {
        "train": ["projector", "language"],
        "style": "plain",
        "mixture": [{"dataset": "pairs"}],
        "batch_size": 4,
        "learning_rate": 1e-3,
    }
    stage = StageSpec.model_validate(stage | changes).model_dump(mode="json")
    return {"name": "stage", "stage": stage, "seed": 0, "dtype": "float32", "processes": processes}


def train(folder: Path, inputs, processes, board=None, **changes):
    torch.set_num_threads(1)
    folder.mkdir(exist_ok=True)
    results = work.train(folder, settings(processes, **changes), inputs, board or Board())
    return [loss for _, loss in results["loss"]]


def difference(one: Path, other: Path) -> float:
    before, after = (load_generalist(f / "model").model.state_dict() for f in (one, other))
    assert before.keys() == after.keys()
    return max((before[name].float() - after[name].float()).abs().max().item() for name in before)


MIXED = {"mixture": [{"dataset": "mixed"}], "style": "chat", "train": ["projector", "language", "vision"]}
LORA = {"lora": {"rank": 4}}


@pytest.mark.parametrize("changes", [{}, {"device_batch_size": 1}, MIXED | {"device_batch_size": 1}])
def test_two_processes_train_as_one(inputs, tmp_path, changes):
    alone = train(tmp_path / "one", inputs, 1, **changes)
    together = train(tmp_path / "two", inputs, 2, **changes)
    assert len(alone) > 4 and together == pytest.approx(alone, **SAME)
    assert difference(tmp_path / "one", tmp_path / "two") < 1e-3


@needs_deepspeed
@pytest.mark.parametrize("zero", [2, 3])
@pytest.mark.parametrize("changes", [{}, MIXED | {"device_batch_size": 1}, LORA])
def test_deepspeed_trains_as_one_process_and_leaves_a_plain_model(inputs, tmp_path, zero, changes):
    alone = train(tmp_path / "one", inputs, 1, **changes)
    together = train(tmp_path / "two", inputs, 2, deepspeed=zero, **changes)
    assert len(alone) > 4 and together == pytest.approx(alone, **SAME)
    assert difference(tmp_path / "one", tmp_path / "two") < 1e-3
