"""Preferences: the loss is DPO's, a model moves to the better answers, and a killed stage ends the same."""

from __future__ import annotations

import json
import math

import pytest
import torch
from safetensors.torch import load_file

from vila2.data.annotations import Annotation
from vila2.data.branches import take_apart
from vila2.data.layers import Layer, write_layer
from vila2.data.shards import ShardDataset, write_dataset
from vila2.data.views import View, apply_view
from vila2.errors import TrainingError
from vila2.model.assemble import assemble
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import IGNORED
from vila2.model.generalist import load_generalist
from vila2.model.saving import save_model
from vila2.recipe.checks.across import cross_problems
from vila2.recipe.parts.stage import PairLossSpec, StageSpec
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.train.pairs_feed import PreferenceCollator, PreferenceItem
from vila2.train.preference_objective import PreferenceObjective
from vila2.train.stage import train_stage
from vila2.train.stage_step import train as train_step
from vila2.train.train_settings import TrainSettings

PAIRS = [{"dataset": "images", "view": "pairs(pairs-1)"}]
REPLAY = [{"dataset": "texts", "weight": 0.5}]


def rows_of(key: str) -> list[Annotation]:
    better, worse = "There is a red cube and a small blue ball.", "There is a ball and a ball."
    return [Annotation(key, "Describe.", better, "ok"), Annotation(key, "Describe.", worse, "rejected")]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    for name, content in (("images", "alt_text"), ("texts", "instructions")):
        write_dataset(folder / name, open_source("world", split="sft", count=13, content=content), name=name)
    dataset = ShardDataset.open(folder / "images")
    lonely = dataset.keys()[1]  # an image without a pair
    rows = lambda key: [] if key == lonely else rows_of(key)  # noqa: E731
    write_layer(dataset, rows, folder=folder / "layer", name="pairs-1", info={})
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, folder / "parts" / "model")
    return {
        "model": folder / "parts",
        "data.images": folder / "images",
        "data.texts": folder / "texts",
        "layer.images.pairs-1": folder / "layer",
    }


def settings(processes: int = 1, **changes: object) -> TrainSettings:
    stage = {
        "objective": "preference",
        "train": ["projector", "language"],
        "style": "chat",
        "mixture": [*PAIRS, *REPLAY],
        "batch_size": 6,
        "device_batch_size": 3,
        "learning_rate": 3e-4,
        "epochs": 3,
    }
    return TrainSettings(
        name="prefer", stage=StageSpec.model_validate(stage | changes), seed=0, dtype="float32",
        processes=processes,
    )  # fmt: skip


def pair_of(inputs, number: int = 0):
    dataset = ShardDataset.open(inputs["data.images"])
    layer = Layer.open(inputs["layer.images.pairs-1"])
    sample = dataset[number]
    return apply_view(View.parse("pairs(pairs-1)"), sample, {"pairs-1": layer.get(sample.key)})


def plain_likelihood(model, encoder, sample) -> tuple[torch.Tensor, int]:
    """Token by token, a conversation at a time, without any code of ours but the encoder."""
    one = encoder.encode(sample, "chat")
    logits = model(input_ids=torch.tensor([one.input_ids]), **one.inputs).logits[0].double()
    said = [
        torch.log_softmax(logits[place - 1], -1)[label]
        for place, label in enumerate(one.labels)
        if label != IGNORED
    ]
    return torch.stack(said).sum(), len(said)


@pytest.mark.parametrize(
    "spec",
    [PairLossSpec(), PairLossSpec(beta=0.7, per_token=True), PairLossSpec(better=0.5, text=2.0)],
)
def test_the_loss_is_that_of_a_plain_implementation(inputs, spec) -> None:
    generalist = load_generalist(inputs["model"] / "model")
    encoder = ConversationEncoder(generalist.processor)
    texts = ShardDataset.open(inputs["data.texts"])
    collate = PreferenceCollator(generalist.processor.tokenizer.pad_token_id, None)
    pairs = [take_apart(pair_of(inputs, number)) for number in (0, 2)]
    reference = [(-31.0, -20.0), (-25.0, -30.0)]
    items = [
        PreferenceItem(tuple(encoder.encode(one, "chat") for one in pair), True, known)
        for pair, known in zip(pairs, reference, strict=True)
    ] + [PreferenceItem((encoder.encode(texts[n], "chat"),), False) for n in (3, 5)]
    objective = PreferenceObjective(spec, generalist.model)
    with torch.no_grad():
        found = objective(generalist.model, collate(items))
        wanted = 0.0
        for (better, worse), (p0_better, p0_worse) in zip(pairs, reference, strict=True):
            chosen, tokens = plain_likelihood(generalist.model, encoder, better)
            rejected, others = plain_likelihood(generalist.model, encoder, worse)
            gains = chosen - p0_better, rejected - p0_worse
            if spec.per_token:
                gains = gains[0] / tokens, gains[1] / others
            wanted += math.log1p(math.exp(-spec.beta * float(gains[0] - gains[1])))
            wanted -= spec.better * float(chosen) / tokens
        for number in (3, 5):
            said, tokens = plain_likelihood(generalist.model, encoder, texts[number])
            wanted -= spec.text * float(said) / tokens
    assert float(found) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("lora", [None, {"rank": 4}])
def test_a_model_moves_toward_the_better_answers(inputs, tmp_path, lora) -> None:
    results = train_stage(tmp_path, settings(lora=lora, epochs=6, learning_rate=1e-3), inputs, Board())
    assert results["dropped"] == {"images through pairs(pairs-1)": {"missing": 1}}
    first, last = results["preferred"][0], results["preferred"][-1]
    assert abs(first[2]) < 1e-3, "at the start nothing has moved from the reference"
    assert last[1] == 1.0 and last[2] > 1.0
    gains = []
    for folder in (inputs["model"], tmp_path):
        generalist = load_generalist(folder / "model")
        encoder = ConversationEncoder(generalist.processor)
        with torch.no_grad():
            better, worse = (
                plain_likelihood(generalist.model, encoder, one)[0] for one in take_apart(pair_of(inputs))
            )
        gains.append(float(better - worse))
    assert gains[1] > gains[0] + 1.0


def test_a_killed_stage_ends_with_the_same_weights(inputs, tmp_path, monkeypatch) -> None:
    from vila2.train import checkpoints

    spec = settings(save_steps=3)
    train_stage(tmp_path / "whole", spec, inputs, Board())
    made = []

    def stop(*arguments, **more):
        made.append(1)
        if len(made) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **more)

    real = checkpoints.MarkComplete.on_save
    monkeypatch.setattr(checkpoints.MarkComplete, "on_save", stop)
    with pytest.raises(KeyboardInterrupt):
        train_stage(tmp_path / "killed", spec, inputs, Board())
    monkeypatch.undo()
    reference = (tmp_path / "killed" / "reference-0-of-1.npz").stat().st_mtime_ns
    train_stage(tmp_path / "killed", spec, inputs, Board())
    assert (tmp_path / "killed" / "reference-0-of-1.npz").stat().st_mtime_ns == reference
    whole, killed = (load_file(tmp_path / n / "model/model.safetensors") for n in ("whole", "killed"))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(inputs, tmp_path) -> None:
    torch.set_num_threads(1)
    losses = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        train_step(folder, settings(processes), inputs, Board())
        losses.append(
            [
                row["loss"]
                for row in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
                if "loss" in row
            ]
        )
    assert losses[0] == pytest.approx(losses[1], abs=1e-4) and len(losses[0]) > 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pack_length": 400, "device_batch_size": None}, "pack_length"),
        ({"objective": "text"}, "worse answers"),
        ({"liger": True}, "liger"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(inputs, tmp_path, changes, said) -> None:
    stage = settings().stage.model_dump(mode="json") | changes
    problems = cross_problems({"data": {"images": {}, "texts": {}}, "stages": {"prefer": stage}})
    assert any(said in str(problem) for problem in problems)
    with pytest.raises(TrainingError, match=said):
        train_stage(tmp_path, settings(**changes), inputs, Board())
    assert not list(tmp_path.glob("reference*"))


def test_pairs_are_for_preferences_alone() -> None:
    lonely = settings(mixture=REPLAY).stage.model_dump(mode="json")
    problems = cross_problems({"data": {"texts": {}}, "stages": {"prefer": lonely}})
    assert any("pairs(LAYER)" in problem.what for problem in problems)
