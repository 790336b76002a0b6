"""The long cells of the matrix: one round, specialists, their layers merged, and a stage that is killed."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import yaml

from tests.families.cells import PLAIN, Refused, captions, stage_of, vila2
from vila2.data.layers import Layer
from vila2.errors import Vila2Error
from vila2.model.generalist import load_generalist
from vila2.run.board import Board
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings

#: Each shipped specialist, and its one stage.
SPECIALISTS = {"spatial": "relations", "grounding": "grounding", "ocr": "reading"}


def one_round(family: str, model: Path, folder: Path) -> None:
    """Trains VILA_0, lets it write captions, and trains VILA_1 on them: its captions are usable."""
    if (folder / "runs" / "tiny" / "results.json").exists():
        return
    stage = {"mixture": [{"dataset": "pairs"}], "batch_size": 5, "learning_rate": 0.01, "max_steps": 25}
    stage |= {"style": "plain" if family in PLAIN else "chat", "train": ["projector", "language"]}
    own = {"name": "tiny", "threads": 1, "model": {"pretrained": str(model)}}
    own |= {
        "data": {"pairs": {"source": "shards", "path": str(captions(folder / "pairs", family, text=False))}}
    }
    own |= {"cycle": {"rounds": 1, "max_new_tokens": 12, "stage": "sft"}, "stages": {"sft": stage}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(own))
    vila2("run", "recipe.yaml", "-q", cwd=folder)
    layer = next((folder / "runs" / "tiny" / "steps").glob("self-1-*"))
    assert Layer.open(layer).statuses.get("ok"), Layer.open(layer).statuses
    results = json.loads((folder / "runs" / "tiny" / "results.json").read_text())
    assert [found["name"] for found in results["models"]] == ["VILA_0", "VILA_1"]


def specialist(family: str, model: Path, folder: Path, *, plugin: str) -> None:
    """Trains a shipped specialist from the run's last model, and lets it annotate the run's photos."""
    one_round(family, model, folder)
    stage = SPECIALISTS[plugin]
    settings = {
        f"stages.{stage}.max_steps": 2,
        f"stages.{stage}.batch_size": 4,
        "evaluate.max_new_tokens": 4,
        "evaluate.limit": 3,
        "annotate.max_new_tokens": 6,
        "held_out": 0.3,
    }
    changes = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    data = ("--data", "world:split=specialist,count=10")
    vila2("specialize", "--plugin", plugin, "--from", "runs/tiny", *data, *changes, "-q", cwd=folder)
    vila2("annotate", "runs/tiny", "--plugin", plugin, "-q", cwd=folder)


def merge(family: str, model: Path, folder: Path) -> None:
    """Merges the captions of the round with what the specialists said, which there are."""
    one_round(family, model, folder)
    made = [plugin for plugin in SPECIALISTS if (folder / "runs" / "tiny" / "specialists" / plugin).exists()]
    if not made:
        specialist(family, model, folder, plugin="ocr")
        made = ["ocr"]
    vila2("merge", "runs/tiny", "--layers", ",".join(["original", "self-1", *made]), "-q", cwd=folder)


def resume(family: str, model: Path, folder: Path) -> None:
    """A stage that is killed while it writes a checkpoint ends with the weights of an undisturbed one."""
    captions(folder / "data", family)
    spec = stage_of(family, max_steps=3, save_steps=1, batch_size=2, lora={"rank": 2})
    settings = TrainSettings(name="sft", stage=spec, seed=0, dtype="float32")
    (folder / "start").mkdir()
    (folder / "start" / "model").symlink_to(model)
    inputs = {"model": folder / "start", "data.pairs": folder / "data"}
    try:
        train_stage(folder / "alone", settings, inputs, Board())
    except Vila2Error as error:
        raise Refused(f"{error.what} - {error.hint}") from error
    child = os.fork()
    if not child:
        sys.addaudithook(_die_at_the_second_checkpoint)
        train_stage(folder / "killed", settings, inputs, Board())
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert (folder / "killed" / "checkpoint-1").exists() and not (folder / "killed" / "model").exists()
    train_stage(folder / "killed", settings, inputs, Board())
    alone, killed = (
        load_generalist(folder / name / "model", device="cpu").model.state_dict()
        for name in ("alone", "killed")
    )
    for name, value in alone.items():
        torch.testing.assert_close(killed[name], value, rtol=1e-5, atol=1e-6)


def _die_at_the_second_checkpoint(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and "checkpoint-2" in str(arguments[0]):
        os.kill(os.getpid(), signal.SIGKILL)


SLOW: dict[str, Callable[[str, Path, Path], None]] = {
    "round": one_round,
    **{name: partial(specialist, plugin=name) for name in SPECIALISTS},
    "merge": merge,
    "resume": resume,
}
