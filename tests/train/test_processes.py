"""Several processes: the losses of one, whatever the batches hold; and what a killed process leaves."""

import importlib.util
import json
from itertools import chain
from pathlib import Path

import psutil
import pytest
import torch
from hypothesis import given, strategies as st

from vila2.data.sample import ImagePart, Sample, TextPart, Turn
from vila2.data.shards import write_dataset
from vila2.errors import TrainingError
from vila2.model.assemble import assemble
from vila2.model.generalist import load_generalist
from vila2.model.saving import save_model
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.train.checkpoints import latest_checkpoint
from vila2.train.order import StepOrder
from vila2.train.stage_step import train as train_step
from vila2.train.train_settings import TrainSettings

SAME = {"abs": 1e-4}
needs_deepspeed = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None, reason="deepspeed is not installed"
)


def mixed_samples():
    """Text alone, one image, several images, images between texts, in runs that make whole batches alike."""
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
    return TrainSettings(name="stage", stage=stage | changes, seed=0, dtype="float32", processes=processes)


def train(folder: Path, inputs, processes, board=None, **changes):
    torch.set_num_threads(1)
    folder.mkdir(exist_ok=True)
    results = train_step(folder, settings(processes, **changes), inputs, board or Board())
    return [loss for _, loss in results["loss"]]


def difference(one: Path, other: Path) -> float:
    before, after = (load_generalist(f / "model").model.state_dict() for f in (one, other))
    assert before.keys() == after.keys()
    return max((before[name].float() - after[name].float()).abs().max().item() for name in before)


def losses(folder: Path) -> dict[int, float]:
    entries = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return {entry["step"]: entry["loss"] for entry in entries if "loss" in entry}


MIXED = {"mixture": [{"dataset": "mixed"}], "style": "chat", "device_batch_size": 1}
ALL = {"train": ["projector", "language", "vision"]}
LORA = {"lora": {"rank": 4}}


@pytest.mark.parametrize(
    "changes",
    [MIXED, pytest.param({}, marks=pytest.mark.slow), pytest.param(MIXED | ALL, marks=pytest.mark.slow)],
    ids=["mixed", "plain", "everything"],
)
def test_two_processes_train_as_one(inputs, tmp_path, changes):
    alone = train(tmp_path / "one", inputs, 1, **changes)
    together = train(tmp_path / "two", inputs, 2, **changes)
    assert len(alone) > 4 and together == pytest.approx(alone, **SAME)
    assert difference(tmp_path / "one", tmp_path / "two") < 1e-3


@needs_deepspeed
@pytest.mark.parametrize(
    ("zero", "changes"),
    [
        (3, MIXED),  # while one process sees a picture again, the other has a new one
        pytest.param(3, MIXED | ALL, marks=pytest.mark.slow),
        pytest.param(2, MIXED | ALL, marks=pytest.mark.slow),
        pytest.param(2, LORA, marks=pytest.mark.slow),
        pytest.param(3, LORA, marks=pytest.mark.slow),
    ],
    ids=["3-frozen-tower", "3-everything", "2-everything", "2-lora", "3-lora"],
)
def test_deepspeed_trains_as_one_process_and_leaves_a_plain_model(inputs, tmp_path, zero, changes):
    alone = train(tmp_path / "one", inputs, 1, **changes)
    together = train(tmp_path / "two", inputs, 2, deepspeed=zero, **changes)
    assert len(alone) > 4 and together == pytest.approx(alone, **SAME)
    assert difference(tmp_path / "one", tmp_path / "two") < 1e-3


class KillAt(Board):
    """A board that kills one of the training processes once a step is reached."""

    def __init__(self, step: int, rank: int) -> None:
        super().__init__()
        self.step_to_kill_at, self.rank = step, str(rank)

    def changed(self, event: str) -> None:
        if event == "advance" and self.tasks and self.tasks[-1].done == self.step_to_kill_at:
            for child in psutil.Process().children():
                if child.environ().get("RANK") == self.rank:
                    child.kill()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param({"deepspeed": 2}, marks=[needs_deepspeed, pytest.mark.slow]),
        pytest.param({"deepspeed": 3}, marks=[needs_deepspeed, pytest.mark.slow]),
        pytest.param({"deepspeed": 3} | LORA, marks=[needs_deepspeed, pytest.mark.slow]),
    ],
    ids=["ddp", "zero-2", "zero-3", "zero-3-lora"],
)
def test_a_killed_process_ends_the_stage_and_a_resume_has_the_same_losses(inputs, tmp_path, changes):
    changes = {"epochs": 2, "save_steps": 4} | changes
    folder = tmp_path / "killed"
    with pytest.raises(TrainingError, match="process 1 of 2 was killed by SIGKILL") as failure:
        train(folder, inputs, 2, KillAt(7, rank=1), **changes)
    assert "trains on from step 4" in failure.value.hint
    assert [path.name for path in folder.glob("checkpoint-*")] == ["checkpoint-4"]
    assert not any(child.environ().get("RANK") for child in psutil.Process().children())
    train(folder, inputs, 2, **changes)
    train(tmp_path / "one", inputs, 1, **changes)
    assert len(losses(folder)) == 11
    assert losses(folder) == pytest.approx(losses(tmp_path / "one"), **SAME)
    assert difference(folder, tmp_path / "one") < 1e-3


@pytest.mark.slow
def test_what_a_process_raises_on_purpose_reaches_the_reader(inputs, tmp_path):
    with pytest.raises(TrainingError, match="lora adapts the language model") as failure:
        train(tmp_path / "stage", inputs, 2, train=["projector"], lora={"rank": 2})
    assert failure.value.hint == "train: [language]"


def test_zero_checkpoints_ask_for_the_processes_that_wrote_them(tmp_path):
    path = tmp_path / "checkpoint-4"
    path.mkdir()
    (path / "complete").write_text(json.dumps({"processes": 4, "zero": 3}))
    assert latest_checkpoint(tmp_path, processes=4, zero=3) == path
    with pytest.raises(TrainingError, match="by 4 processes under ZeRO-3") as failure:
        latest_checkpoint(tmp_path, processes=2, zero=3)
    assert "--set processes=4" in failure.value.hint
    (path / "complete").write_text(json.dumps({"processes": 4, "zero": None}))
    assert latest_checkpoint(tmp_path, processes=2) == path, "whole checkpoints fit any number of processes"


sizes = st.integers(1, 12)


@given(st.integers(1, 60), sizes, sizes, st.integers(1, 5), st.integers(0, 3))
def test_processes_share_every_step_out_without_loss_or_repetition(samples, batch, device, processes, epoch):
    def order(count, process, device):
        order = StepOrder(
            samples, seed=7, batch_size=batch, device_batch_size=device, processes=count, process=process
        )
        order.set_epoch(epoch)
        assert len(list(order)) == len(order)
        return list(order)

    alone = order(1, 0, batch)
    shares = [order(processes, process, device) for process in range(processes)]
    assert len({len(share) for share in shares}) == 1, "all take equally many turns"
    turns = [list(chain(*turn)) for turn in zip(*shares, strict=True)]
    assert sorted(chain(*alone)) == list(range(samples))
    per_step = -(-batch // (device * processes))
    steps = [list(chain(*turns[n : n + per_step])) for n in range(0, len(turns), per_step)]
    assert steps == alone
