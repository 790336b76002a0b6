"""Machines that train together, as processes on loopback: their losses, what a dead one leaves."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.train.test_processes import SAME, difference, losses, train
from vila2.data.shards import write_dataset
from vila2.errors import RecipeError, TrainingError
from vila2.model.assemble import assemble
from vila2.model.saving import save_model
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.train.nodes import NodePlace, lead

RECIPE = """
name: nodes
threads: 1
processes: 1
data:
  pairs: {source: world, options: {split: pretrain, count: 24, content: alt_text}}
  test: {source: world, options: {split: test, count: 2, content: test, questions: 1}}
model: {vision: "builtin:world/vision", language: "builtin:world/language", vision_feature_layer: -1}
stages:
  align: {mixture: [{dataset: pairs}], batch_size: 4, learning_rate: 1.0e-3, deepspeed: null}
  pretrain: {mixture: [{dataset: pairs}], batch_size: 4, learning_rate: 5.0e-4, style: chat, epochs: 40,
             save_steps: 4, deepspeed: null}
cycle: {rounds: 0}
evaluate:
  - {name: questions, kind: questions, dataset: test, max_new_tokens: 4, batch_size: 32}
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    samples = open_source("world", split="sft", count=22, content="alt_text")
    write_dataset(folder / "pairs", samples, name="pairs")
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, folder / "parts" / "model")
    return {"model": folder / "parts", "data.pairs": folder / "pairs"}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def node(recipe: Path, rank: int, port: int, *more: str, timeout: float = 300) -> subprocess.Popen[str]:
    """``vila2 run`` on one of two machines."""
    place = ["--nodes", "2", "--node-rank", str(rank), "--rendezvous", f"127.0.0.1:{port}"]
    command = [sys.executable, "-m", "vila2", "run", str(recipe), *place, "--node-timeout", str(timeout)]
    return subprocess.Popen(
        [*command, *more, "--out", str(recipe.parent / "run"), "--quiet", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def joined(recipe: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Within it, this process is node 0, and another joins it."""
    port = free_port()
    with node(recipe, 1, port, *more) as follower:
        try:
            with lead(NodePlace(2, 0, "127.0.0.1", port, timeout=300)):
                yield follower
        finally:
            try:
                said, error = follower.communicate(timeout=600)
                (recipe.parent / "said").write_text(said)
                (recipe.parent / "error").write_text(error)
            finally:
                follower.kill()


class At(Board):
    """A board that does something once, when a step is reached."""

    def __init__(self, step: int, what) -> None:
        super().__init__()
        self.at, self.what = step, what

    def changed(self, event: str) -> None:
        if event == "advance" and self.tasks and self.tasks[-1].done == self.at:
            self.at = -1
            self.what()


def test_two_nodes_train_as_two_processes_of_one(inputs, recipe, tmp_path):
    with joined(recipe) as follower:
        apart = train(tmp_path / "apart", inputs, 2)
    assert follower.returncode == 0, (tmp_path / "error").read_text()
    assert json.loads((tmp_path / "said").read_text()) == {"node": 1, "stages": 1}
    together = train(tmp_path / "together", inputs, 2)
    assert len(apart) > 4 and apart == pytest.approx(together, **SAME)
    assert difference(tmp_path / "apart", tmp_path / "together") < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("resumed", [1, 3], ids=["alone", "three-on-two-nodes"])
def test_a_node_that_is_killed_is_named_and_the_stage_goes_on_with_another_number(
    inputs, recipe, tmp_path, resumed
):
    changes = {"epochs": 2, "save_steps": 4}
    folder = tmp_path / "killed"
    lost = pytest.raises(TrainingError, match=r"node 1 \(.*\), which runs 1 of the processes")
    with lost as caught, joined(recipe) as follower:
        train(folder, inputs, 2, At(7, follower.kill), **changes)
    assert re.search(r"on all 2 nodes: the stage goes on from step [48]", caught.value.hint)
    if resumed == 1:
        train(folder, inputs, 1, **changes)
    else:
        with joined(recipe, "--set", "processes=2"):
            train(folder, inputs, 3, **changes)
    train(tmp_path / "one", inputs, 1, **changes)
    assert losses(folder) == pytest.approx(losses(tmp_path / "one"), **SAME)
    assert difference(folder, tmp_path / "one") < 1e-3


@pytest.mark.slow
def test_a_process_that_is_killed_on_another_node_is_named(inputs, recipe, tmp_path):
    import psutil

    def kill() -> None:
        (worker,) = psutil.Process(follower.pid).children()
        worker.kill()

    killed = pytest.raises(TrainingError, match=r"process 1 of 2 on node 1 \(.*\) was killed by SIGKILL")
    with killed, joined(recipe) as follower:
        train(tmp_path / "killed", inputs, 2, At(3, kill))
    said = re.sub(r"[\s│]+", " ", (tmp_path / "error").read_text())
    assert follower.returncode == 2 and "node 0 has ended the run: process 1 of 2" in said


@pytest.mark.slow
def test_a_run_whose_first_node_is_killed_goes_on_and_ends_as_on_one_machine(recipe, tmp_path):
    port = free_port()
    with node(recipe, 0, port) as first, node(recipe, 1, port) as second:
        until = time.monotonic() + 1500
        while not list(tmp_path.glob("run/steps/vila0-pretrain-*/checkpoint-*/complete")):
            assert time.monotonic() < until and first.poll() is None, first.communicate()[1]
            time.sleep(0.02)
        first.kill()
        said = re.sub(r"[\s│]+", " ", second.communicate(timeout=600)[1])
    assert second.returncode == 2 and f"node 0 at 127.0.0.1:{port} is gone" in said, said
    assert not list(tmp_path.glob("run/steps/vila0-pretrain-*/done.json"))
    port = free_port()
    with node(recipe, 0, port) as first, node(recipe, 1, port) as second:
        (_, error), (joined_, _) = first.communicate(timeout=600), second.communicate(timeout=600)
    assert first.returncode == 0 and second.returncode == 0, error
    assert json.loads(joined_)["stages"] == 1, "the first stage is not trained again"
    alone = [sys.executable, "-m", "vila2", "run", str(recipe), "--set", "processes=2", "--quiet"]
    subprocess.run([*alone, "--out", str(tmp_path / "alone")], check=True, capture_output=True)
    (apart,), (together,) = (
        list(tmp_path.glob(f"{name}/steps/vila0-pretrain-*")) for name in ("run", "alone")
    )
    assert losses(apart) == pytest.approx(losses(together), **SAME)
    assert difference(apart, together) < 1e-3


def test_a_node_that_is_missing_is_named_after_the_time_out(recipe):
    port = free_port()
    with node(recipe, 0, port, timeout=2) as first:
        said = re.sub(r"[\s│]+", " ", first.communicate(timeout=600)[1])
    assert first.returncode == 2 and "node 1 of 2 did not join within 2 seconds" in said, said
    assert "--node-rank 1" in said and f"127.0.0.1:{port}" in said


def test_a_node_without_a_first_one_says_where_it_looked(recipe):
    port = free_port()
    with node(recipe, 1, port, timeout=1) as second:
        said = re.sub(r"[\s│]+", " ", second.communicate(timeout=600)[1])
    assert second.returncode == 2 and f"node 0 was not found at 127.0.0.1:{port} within 1 seconds" in said


@pytest.mark.parametrize(
    ("rank", "rendezvous", "wrong"),
    [
        (None, "a:1", "--node-rank is missing"),
        (2, "a:1", "--node-rank is 2"),
        (0, None, "--rendezvous is missing"),
        (0, "gpu-a", "--rendezvous gpu-a"),
        (0, "gpu-a:99999", "--rendezvous gpu-a:99999"),
    ],
)
def test_a_place_that_cannot_be_is_refused(rank, rendezvous, wrong):
    with pytest.raises(RecipeError, match=re.escape(wrong)):
        NodePlace.parse(2, rank, rendezvous, 10)


def test_a_place_is_read():
    assert NodePlace.parse(4, 3, "[::1]:29400", 10) == NodePlace(4, 3, "::1", 29400, 10)
