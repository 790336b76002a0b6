"""LoRA and QLoRA: what is trained through adapters comes out as one plain model that says the same."""

import importlib.util
from pathlib import Path

import pytest
import torch

from tests.train.test_stage import changed_parts, inputs, settings, weights  # noqa: F401 - a fixture
from vila2.data.shards import ShardDataset
from vila2.model.conversation import ConversationEncoder
from vila2.model.generalist import load_generalist
from vila2.model.saving import save_model
from vila2.packing.collate import Collator
from vila2.recipe.parts.stage import StageSpec
from vila2.run.board import Board
from vila2.train.freezing import freeze_all_but
from vila2.train.lora import add_lora, merge_lora
from vila2.train.stage import train_stage

needs_bitsandbytes = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed"
)
PARTS = ["projector", "language"]


def batch_of(inputs, processor):  # noqa: F811
    dataset = ShardDataset.open(inputs["data.instructions"])
    encoder = ConversationEncoder(processor)
    collate = Collator(processor.tokenizer.pad_token_id)
    return collate([encoder.encode(dataset[n]) for n in range(4)])


def learn(model, batch, steps: int = 4) -> None:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(steps):
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("rank", [4, 64])
def test_the_merged_model_says_what_the_adapters_said(inputs, tmp_path, rank):  # noqa: F811
    torch.set_num_threads(1)
    stage = StageSpec.model_validate(settings("sft", "instructions", train=PARTS, lora={"rank": rank}).stage)
    start = load_generalist(inputs["model"] / "model")
    batch = batch_of(inputs, start.processor)
    before = start.model(**batch).logits
    freeze_all_but(start.model, stage.train)
    model = add_lora(start.model, stage)
    learn(model.train(), batch)
    unmerged = model.eval()(**batch).logits.detach()
    save_model(merge_lora(model, stage), start.processor, tmp_path / "model")
    merged = load_generalist(tmp_path / "model").model(**batch).logits
    assert (unmerged - before).abs().max() > 0.1
    torch.testing.assert_close(merged, unmerged, atol=1e-5, rtol=1e-5)


@needs_bitsandbytes
def test_qlora_ends_as_one_plain_model_with_its_weights_whole(inputs, tmp_path):  # noqa: F811
    changes = {"train": PARTS, "lora": {"rank": 4, "quantize": "nf4"}, "learning_rate": 1e-3}
    results = train_stage(tmp_path, settings("sft", "instructions", **changes), inputs, Board())
    assert results["loss"][-1][1] < results["loss"][0][1]
    before, after = weights(inputs["model"]), weights(tmp_path)
    assert changed_parts(before, after) == {"projector", "language"}
    assert all(before[name].dtype == after[name].dtype for name in before)
    adapted = [
        name for name in before if "language_model" in name and not torch.equal(before[name], after[name])
    ]
    assert adapted and all("norm" not in name and "embed" not in name for name in adapted)
    # Folding into rounded weights would move every weight by the rounding of 4 bits, some 5%.
    moved = [(after[n] - before[n]).norm() / before[n].norm() for n in adapted]
    assert max(moved) < 0.04


def test_projector_alone_or_everything(inputs, tmp_path):  # noqa: F811
    """The two kinds of instruction tuning that VILA compares (section 2): prompt tuning and fine-tuning."""
    for name, parts in (("prompt", {"projector"}), ("fine", {"projector", "language"})):
        folder: Path = tmp_path / name
        folder.mkdir()
        train_stage(folder, settings("sft", "instructions", train=sorted(parts)), inputs, Board())
        assert changed_parts(weights(inputs["model"]), weights(folder)) == parts
