"""A stage killed at its end: no step is taken twice, and no checkpoint is lost while it is needed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vila2.data.shards import write_dataset
from vila2.model.assemble import assemble
from vila2.model.saving import save_model
from vila2.recipe.parts.stage import STAGE_DEFAULTS, StageSpec
from vila2.run.board import Board
from vila2.run.step_files import PRUNED
from vila2.sources import open_source
from vila2.train.checkpoints import latest_checkpoint_number, remove_all
from vila2.train.processes import train_in_processes
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings

#: Twelve samples in steps of four: the last step, the fifth, is in the middle of an epoch.
STEPS = 5
KILLED = """
import json, os, signal, sys
from pathlib import Path
from vila2.run.board import Board
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings
folder, spec, inputs, event, place, touch = sys.argv[1:]
left = int(touch)
def kill(name, arguments):
    global left
    if name == event and arguments and place in str(arguments[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
settings = TrainSettings.model_validate_json(spec)
train_stage(Path(folder), settings, {k: Path(v) for k, v in json.loads(inputs).items()}, Board())
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    samples = open_source("world", split="sft", count=12, content="alt_text", questions=1)
    write_dataset(folder / "pairs", samples, name="pairs")
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, folder / "parts" / "model")
    return {"model": folder / "parts", "data.pairs": folder / "pairs"}


@pytest.fixture(scope="module")
def spec() -> TrainSettings:
    changes = {"mixture": [{"dataset": "pairs"}], "batch_size": 4, "max_steps": STEPS, "save_steps": 2}
    stage = StageSpec.model_validate(STAGE_DEFAULTS["align"] | changes)
    return TrainSettings(name="align", stage=stage, seed=0, dtype="float32")


@pytest.fixture(scope="module")
def undisturbed(inputs, spec, tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, train_stage(folder, spec, inputs, Board())


def killed(folder: Path, spec: TrainSettings, inputs: dict, event: str, place: str, touch: int = 1) -> None:
    """Trains in a process of its own, which is killed at the n-th event on a path with ``place`` in it."""
    paths = json.dumps({name: str(path) for name, path in inputs.items()})
    given = [str(folder), spec.model_dump_json(), paths, event, place, str(touch)]
    path = os.pathsep.join(path for path in sys.path if path)
    ended = subprocess.run([sys.executable, "-c", KILLED, *given], env=os.environ | {"PYTHONPATH": path})
    assert ended.returncode == -signal.SIGKILL


def check_same(folder: Path, results: dict, undisturbed: tuple[Path, dict]) -> None:
    assert results == json.loads(json.dumps(undisturbed[1]))
    weights, expected = (load_file(one / "model" / "model.safetensors") for one in (folder, undisturbed[0]))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert not list(folder.glob("checkpoint-*"))


def test_killed_after_its_last_checkpoint_a_stage_takes_no_step_more(inputs, spec, undisturbed, tmp_path):
    killed(tmp_path, spec, inputs, "os.mkdir", "model.tmp")
    assert latest_checkpoint_number(tmp_path) == STEPS and not (tmp_path / "model").exists()
    results = train_stage(tmp_path, spec, inputs, Board())
    steps = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    assert max(entry["step"] for entry in steps) == STEPS
    check_same(tmp_path, results, undisturbed)


@pytest.mark.parametrize(
    "event, place, touch",
    [
        ("os.remove", f"checkpoint-{STEPS}", 1),
        ("shutil.rmtree", f"checkpoint-{STEPS}", 1),
        ("os.remove", "optimizer.pt", 3),  # those of steps 2 and 4 were removed before
    ],
)
def test_killed_while_checkpoints_are_removed_a_stage_is_not_trained_again(
    inputs, spec, undisturbed, tmp_path, event, place, touch
):
    killed(tmp_path, spec, inputs, event, place, touch)
    assert list(tmp_path.glob("checkpoint-*"))
    results = train_stage(tmp_path, spec, {}, Board())  # without a model or data nothing can be trained
    check_same(tmp_path, results, undisturbed)


def test_killed_while_an_older_checkpoint_is_removed_a_stage_resumes_from_the_newer(
    inputs, spec, undisturbed, tmp_path
):
    killed(tmp_path, spec, inputs, "os.remove", "optimizer.pt")
    assert (tmp_path / "checkpoint-2").exists()
    assert not (tmp_path / "checkpoint-2" / "complete").exists()
    assert latest_checkpoint_number(tmp_path) == 4
    check_same(tmp_path, train_stage(tmp_path, spec, inputs, Board()), undisturbed)


def test_half_a_removed_checkpoint_does_not_count_as_complete(tmp_path):
    checkpoint = tmp_path / "checkpoint-7"
    checkpoint.mkdir()
    for name in ("complete", "model.safetensors"):
        (checkpoint / name).write_text("{}")
    removed: list[str] = []
    sys.addaudithook(
        lambda event, given: (
            removed.append(str(given[0])) if event == "os.remove" and tmp_path.name in str(given[0]) else None
        )
    )
    remove_all(tmp_path)
    assert removed[0].endswith("complete") and not checkpoint.exists()


def test_a_stage_whose_model_was_pruned_is_trained_again(inputs, spec, undisturbed, tmp_path):
    train_stage(tmp_path, spec, inputs, Board())
    (tmp_path / PRUNED).write_text("{}")
    shutil.rmtree(tmp_path / "model")
    check_same(tmp_path, train_stage(tmp_path, spec, inputs, Board()), undisturbed)


def test_several_processes_find_that_a_stage_is_trained(spec, undisturbed, tmp_path):
    shutil.copytree(undisturbed[0], tmp_path / "stage")
    (tmp_path / "stage" / "checkpoint-5").mkdir()
    together = spec.model_copy(update={"processes": 2})
    results = train_in_processes(tmp_path / "stage", together, {}, Board())
    check_same(tmp_path / "stage", results, undisturbed)
