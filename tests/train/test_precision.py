"""Memory and precision: checkpointing changes no loss, bfloat16 hardly, and a resume reads nothing twice."""

import pytest
import torch

from tests.train.test_stage import changed_parts, inputs, settings, weights  # noqa: F401 - a fixture
from vila2.run.board import Board
from vila2.train.encoded_dataset import EncodedMixture
from vila2.train.kernels import use_liger
from vila2.train.stage import train_stage

LORA = {"train": ["projector", "language"], "lora": {"rank": 4}}


def losses(folder, inputs, name="sft", dtype="float32", board=None, **changes):  # noqa: F811
    torch.set_num_threads(1)
    folder.mkdir(exist_ok=True)
    spec = settings(name, "instructions", **{"learning_rate": 1e-3} | changes)
    spec = spec.model_copy(update={"dtype": dtype})
    return [loss for _, loss in train_stage(folder, spec, inputs, board or Board())["loss"]]


@pytest.mark.parametrize(
    "changes",
    [{}, {"train": ["language"]}, {"train": ["projector"]}, LORA],
    ids=["all", "language", "projector", "lora"],
)
def test_gradient_checkpointing_changes_neither_losses_nor_weights(inputs, tmp_path, changes):  # noqa: F811
    plain = losses(tmp_path / "plain", inputs, **changes)
    saving = losses(tmp_path / "saving", inputs, gradient_checkpointing=True, **changes)
    assert saving == pytest.approx(plain, abs=1e-6)
    before, after = weights(tmp_path / "plain"), weights(tmp_path / "saving")
    assert changed_parts(weights(inputs["model"]), after), "something was learned"
    for name in before:
        torch.testing.assert_close(after[name], before[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("changes", [{}, LORA], ids=["all", "lora"])
def test_bfloat16_learns_nearly_as_float32(inputs, tmp_path, changes):  # noqa: F811
    whole = losses(tmp_path / "whole", inputs, epochs=2, **changes)
    half = losses(tmp_path / "half", inputs, dtype="bfloat16", epochs=2, **changes)
    assert half == pytest.approx(whole, rel=0.03) and half != whole
    saved = weights(tmp_path / "half").values()
    assert {tensor.dtype for tensor in saved if tensor.is_floating_point()} == {torch.bfloat16}


def test_small_steps_on_bfloat16_weights_are_not_lost(inputs, tmp_path):  # noqa: F811
    changes = {"train": ["language"], "learning_rate": 2e-5, "epochs": 4}
    losses(tmp_path, inputs, dtype="bfloat16", **changes)
    before, after = weights(inputs["model"]), weights(tmp_path)
    names = [name for name in before if name.endswith("q_proj.weight")]
    moved = torch.cat([(after[n] != before[n].bfloat16()).flatten() for n in names]).float().mean()
    assert moved > 0.05, "steps add up, although each is too small for bfloat16"


class StopAt(Board):
    """A board that stops the stage once a step is reached."""

    def changed(self, event: str) -> None:
        if event == "advance" and self.tasks[-1].done == 5:
            raise KeyboardInterrupt


def test_a_resume_reads_only_what_is_still_to_be_trained_on(inputs, tmp_path, monkeypatch):  # noqa: F811
    with pytest.raises(KeyboardInterrupt):
        losses(tmp_path, inputs, board=StopAt(), save_steps=4)
    read, encode = [], EncodedMixture.__getitem__
    monkeypatch.setattr(EncodedMixture, "__getitem__", lambda self, n: read.append(n) or encode(self, n))
    losses(tmp_path, inputs, save_steps=4)
    assert len(read) == len(set(read)) == 24 - 4 * 4


def test_without_a_gpu_liger_says_why_not(inputs):  # noqa: F811
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert use_liger(torch.nn.Module()) == "liger-kernel needs a GPU"
