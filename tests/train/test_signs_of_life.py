"""Processes that train together: a stopped one is named and not waited for, and none listens to strangers."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from vila2.data.shards import write_dataset
from vila2.errors import TrainingError
from vila2.model.assemble import assemble
from vila2.model.saving import save_model
from vila2.recipe.parts.stage import STAGE_DEFAULTS, StageSpec
from vila2.sources import open_source
from vila2.train.processes import train_in_processes
from vila2.train.sign_of_life import SignsOfLife, Standing
from vila2.train.train_settings import TrainSettings

STUCK = """
import os, sys, threading, time
def get_stuck():
    while not hasattr(sys.modules.get("vila2.train.trainer"), "training_arguments"):
        time.sleep(0.01)
    sys.modules["vila2.train.trainer"].StageTrainer.training_step = lambda *_, **__: time.sleep(1000)
if os.environ.get("RANK") == "1":
    threading.Thread(target=get_stuck, daemon=True).start()
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    samples = open_source("world", split="sft", count=8, content="alt_text")
    write_dataset(folder / "pairs", samples, name="pairs")
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, folder / "parts" / "model")
    return {"model": folder / "parts", "data.pairs": folder / "pairs"}


def settings(process_timeout: float) -> TrainSettings:
    changes = {"mixture": [{"dataset": "pairs"}], "batch_size": 2, "process_timeout": process_timeout}
    stage = StageSpec.model_validate(STAGE_DEFAULTS["align"] | changes | {"deepspeed": None})
    return TrainSettings(name="align", stage=stage, seed=0, dtype="float32", processes=2)


def rank(number: int) -> psutil.Process:
    return next(p for p in psutil.Process().children() if p.environ().get("RANK") == str(number))


class AtFirstStep:
    """A display that does something once, when the first step is taken."""

    def __init__(self, what) -> None:
        self.what = what

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[SimpleNamespace]:
        def advance(count: int = 1, note: str = "") -> None:
            if label.startswith("train") and count and self.what:
                what, self.what = self.what, None
                what()

        yield SimpleNamespace(advance=advance)


def test_a_stopped_process_is_named_and_not_waited_for(inputs, tmp_path):
    listening: list[str] = []

    def stop() -> None:
        processes = [psutil.Process(), rank(0), rank(1)]
        found = [place for one in processes for place in one.net_connections() if place.status == "LISTEN"]
        listening.extend(place.laddr.ip for place in found)
        rank(1).send_signal(signal.SIGSTOP)

    began = time.monotonic()
    with pytest.raises(
        TrainingError, match="process 1 of 2 gave no sign of life for 6 seconds: it is stopped"
    ) as e:
        train_in_processes(tmp_path, settings(6), inputs, AtFirstStep(stop))
    assert "stages.align.process_timeout" in e.value.hint and "processes/1.log" in e.value.hint
    assert time.monotonic() - began < 90
    assert not [child for child in psutil.Process().children() if child.environ().get("RANK")]
    assert listening and set(listening) <= {"127.0.0.1", "::1"}


@pytest.mark.slow
def test_a_process_that_is_stopped_for_a_while_goes_on(inputs, tmp_path):
    def pause() -> None:
        process = rank(1)
        process.suspend()
        time.sleep(3)
        process.resume()

    assert train_in_processes(tmp_path, settings(20), inputs, AtFirstStep(pause))["steps"] == 4


@pytest.mark.slow
def test_processes_that_answer_but_do_not_move_are_ended_and_say_where_they_stand(
    inputs, tmp_path, monkeypatch
):
    (tmp_path / "sitecustomize.py").write_text(STUCK)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    stuck = settings(5)  # six times as long
    with pytest.raises(TrainingError, match="the 2 processes have not moved for 30 seconds") as caught:
        train_in_processes(tmp_path, stuck, inputs, AtFirstStep(None))
    assert "process 0 in" in caught.value.what and "sitecustomize.py:6" in caught.value.what


def test_nobody_is_silent_while_the_listener_itself_slept():
    with subprocess.Popen(["sleep", "60"]) as other:
        life = SignsOfLife(timeout=1.0)
        running = [(0, os.getpid()), (1, other.pid)]
        life.hear(0, Standing("a.py:1", 1))
        assert not life.trouble(running)
        time.sleep(1.2)
        assert not life.trouble(running), "the listener slept"
        for number in range(30):
            time.sleep(0.05)
            life.hear(0, Standing("a.py:1", number))
            trouble = life.trouble(running)
        other.kill()
    assert trouble is not None and trouble.ranks == (1,) and not trouble.stuck


def test_one_process_that_moves_is_waited_for():
    life = SignsOfLife(timeout=0.2)
    running = [(0, os.getpid()), (1, os.getpid())]
    for number in range(60):
        time.sleep(0.03)
        life.hear(0, Standing("waiting.py:1", 1))
        life.hear(1, Standing("saving.py:1", number))
        assert not life.trouble(running)
