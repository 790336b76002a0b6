"""Stages on a tiny real model: what is trained, what is frozen, and how a killed stage ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoProcessor

from vila2.data.shards import write_dataset
from vila2.errors import TrainingError
from vila2.model.assemble import assemble
from vila2.model.saving import save_model
from vila2.recipe.parts.stage import STAGE_DEFAULTS, StageSpec
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    for name, content in (("pairs", "alt_text"), ("instructions", "instructions")):
        samples = open_source("world", split="sft", count=24, content=content, questions=3)
        write_dataset(folder / name, samples, name=name)
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, folder / "parts" / "model")
    return {
        "model": folder / "parts",
        "data.pairs": folder / "pairs",
        "data.instructions": folder / "instructions",
    }


def settings(name, dataset, **changes):
    stage = StageSpec.model_validate(
        STAGE_DEFAULTS[name]
        | {"mixture": [{"dataset": dataset}], "batch_size": 4, "learning_rate": 1e-2}
        | changes
    )
    return TrainSettings(name=name, stage=stage, seed=0, dtype="float32")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def changed_parts(before: dict, after: dict) -> set[str]:
    assert before.keys() == after.keys()
    names = {"vision_tower": "vision", "multi_modal_projector": "projector", "language_model": "language"}
    different = [key for key in before if not torch.equal(before[key], after[key])]
    return {part for key in different for name, part in names.items() if name in key}


@pytest.mark.parametrize(
    "name, dataset, learns",
    [
        ("align", "pairs", {"projector"}),
        ("pretrain", "pairs", {"projector", "language"}),
        ("sft", "instructions", {"projector", "language", "vision"}),
    ],
)
def test_a_stage_trains_its_parts_and_leaves_the_others_bit_for_bit(inputs, tmp_path, name, dataset, learns):
    results = train_stage(tmp_path, settings(name, dataset), inputs, Board())
    assert set(results["trained"]) == learns
    assert changed_parts(weights(inputs["model"]), weights(tmp_path)) == learns
    assert results["steps"] == 6 and len(results["loss"]) >= 6
    assert not list(tmp_path.glob("checkpoint-*"))


def test_the_loss_falls(inputs, tmp_path):
    results = train_stage(
        tmp_path, settings("pretrain", "pairs", epochs=8, learning_rate=3e-3), inputs, Board()
    )
    losses = [loss for _, loss in results["loss"]]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_lora_ends_as_one_plain_model(inputs, tmp_path):
    spec = settings("sft", "instructions", train=["projector", "language"], lora={"rank": 4})
    results = train_stage(tmp_path, spec, inputs, Board())
    assert 0 < results["parameters_trained"] < 300_000, "the adapters and the projector, not the whole model"
    assert not list((tmp_path / "model").glob("adapter*"))
    assert changed_parts(weights(inputs["model"]), weights(tmp_path)) == {"projector", "language"}


KILLED = """
import json, sys
from pathlib import Path
from vila2.run.board import Board
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings
folder, spec, inputs = sys.argv[1:]
settings = TrainSettings.model_validate_json(spec)
train_stage(Path(folder), settings, {k: Path(v) for k, v in json.loads(inputs).items()}, Board())
"""


def test_a_killed_stage_ends_with_the_losses_and_weights_of_an_undisturbed_one(inputs, tmp_path):
    spec = settings("pretrain", "pairs", epochs=10, save_steps=5)
    undisturbed = train_stage(tmp_path / "undisturbed", spec, inputs, Board())
    paths = {name: str(path) for name, path in inputs.items()}
    folder = tmp_path / "killed"
    folder.mkdir()
    command = [sys.executable, "-c", KILLED, str(folder), spec.model_dump_json(), json.dumps(paths)]
    process = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    )
    while not list(folder.glob("checkpoint-*/complete")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(folder.glob("checkpoint-*")) and not (folder / "model").exists()
    resumed = train_stage(folder, spec, inputs, Board())
    assert resumed["tokens"] == undisturbed["tokens"] > 10 * undisturbed["samples"], (
        "counted before the kill, too"
    )

    def losses(path):
        return [
            (e["step"], e["loss"]) for e in map(json.loads, (path / "metrics.jsonl").open()) if "loss" in e
        ]

    assert losses(folder) == losses(tmp_path / "undisturbed")
    assert changed_parts(weights(tmp_path / "undisturbed"), weights(folder)) == set()


def test_a_visual_expert_learns_to_see_beside_a_frozen_language_model_at_its_own_resolution(inputs, tmp_path):
    model, processor = assemble(
        "builtin:world/vision", "builtin:world/language", vision_feature_layer=-1, visual_expert=4
    )
    save_model(model, processor, tmp_path / "parts" / "model")
    inputs = inputs | {"model": tmp_path / "parts"}
    spec = settings("align", "pairs", train=["projector", "visual_expert"], image_size=64)
    results = train_stage(tmp_path / "align", spec, inputs, Board())
    assert results["trained"] == ["projector", "visual_expert"]
    before, after = weights(tmp_path / "parts"), weights(tmp_path / "align")
    changed = {key.split(".")[1] for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"multi_modal_projector", "visual_expert"}
    # The saved model and its processor have the new resolution; the next stage may raise it.
    spec = settings("sft", "instructions", train=["projector"], image_size=128, max_steps=1)
    train_stage(tmp_path / "sft", spec, inputs | {"model": tmp_path / "align"}, Board())
    sizes = []
    for folder in ("parts", "align", "sft"):
        config = json.loads((tmp_path / folder / "model" / "config.json").read_text())
        reader = AutoProcessor.from_pretrained(tmp_path / folder / "model")
        assert config["image_size"] == reader.image_size
        sizes.append((config["image_size"][0], reader.tiling.tokens_per_tile))
    assert sizes == [(96, 36), (64, 16), (128, 64)]


def test_a_part_that_the_model_has_not_is_refused(inputs, tmp_path):
    spec = settings("align", "pairs", train=["visual_expert"])
    with pytest.raises(TrainingError, match=r"no visual_expert to train[\s\S]*model.visual_expert"):
        train_stage(tmp_path, spec, inputs, Board())
