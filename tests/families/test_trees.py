"""Trees: a model that cannot keep branches apart gets each branch as its own sample, and says so before."""

import json

import pytest
import torch

from tests.families.cells import captions, stage_of, vila2
from tests.families.tiny import photo
from vila2.data.branches import TakenApart, take_apart
from vila2.data.sample import ImagePart, Sample, TextPart, Turn, assistant, user
from vila2.data.shards import write_dataset
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import IGNORED
from vila2.packing.collate import Collator
from vila2.packing.trial import isolate
from vila2.run.board import Board
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings


def tree(number: int, *answers: str) -> Sample:
    branches = [
        turn
        for branch, answer in enumerate(answers, start=1)
        for turn in (user(f"Question {branch}?", branch=branch), assistant(answer, branch=branch))
    ]
    return Sample(f"tree-{number}", (photo(number),), (user(ImagePart(0)), *branches))


def test_a_tree_taken_apart_has_the_loss_of_the_tree(loaded):
    generalist = loaded("llava_next")
    encoder = ConversationEncoder(generalist.processor)
    sample = tree(0, "a bus", "two", "no dogs")
    whole, alone = encoder.encode(sample), [encoder.encode(one) for one in take_apart(sample)]
    counted = torch.tensor([sum(label != IGNORED for label in one.labels) for one in alone])
    assert counted.sum() == sum(label != IGNORED for label in whole.labels)
    isolation = isolate(generalist.model, max_length=400, device=torch.device("cpu"))
    with torch.no_grad():
        row = generalist.model(**Collator(0, isolation=isolation)([whole]), use_cache=False).loss
        apart = torch.stack([generalist.model(**Collator(0)([one]), use_cache=False).loss for one in alone])
    torch.testing.assert_close(row, (apart * counted).sum() / counted.sum(), rtol=1e-4, atol=1e-4)


def test_what_is_trained_of_a_trunk_is_trained_once():
    said = Turn("assistant", (TextPart("a photo"),))
    sample = Sample("one", (photo(0),), (user(ImagePart(0)), said, *tree(0, "a", "b").turns[1:]))
    first, second = take_apart(sample)
    assert [turn.trained for turn in first.turns] == [False, True, False, True]
    assert [turn.trained for turn in second.turns] == [False, False, False, True]
    assert [turn.text for turn in second.turns] == ["", "a photo", "Question 2?", "b"]
    assert not any(turn.branch for turn in (*first.turns, *second.turns))


def test_a_mixture_is_taken_apart_in_order_and_counted_once(tmp_path):
    samples = [tree(0, "a", "b"), Sample("text", (), (user("Hi"), assistant("yes"))), tree(1, "c")]
    apart = TakenApart.of(samples, tmp_path / "branches.npz", Board())
    assert [one.turns[-1].text for one in apart] == ["a", "b", "yes", "c"] and apart.trees == 1
    again = TakenApart.of(samples, tmp_path / "branches.npz", None)  # nothing is counted again
    assert [one.key for one in again] == ["tree-0", "tree-0", "text", "tree-1"]


@pytest.mark.parametrize("family", ["qwen2_vl", "gemma3"])
def test_a_stage_on_trees_trains_on_their_branches(saved, tmp_path, family):
    write_dataset(tmp_path / "pairs", [tree(0, "a bus", "no"), tree(1, "yes", "two", "x")], name="pairs")
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "model").symlink_to(saved(family))
    spec = stage_of(family, batch_size=2, max_steps=None, epochs=1)
    settings = TrainSettings(name="sft", stage=spec, seed=0, dtype="float32")
    inputs = {"model": tmp_path / "start", "data.pairs": tmp_path / "pairs"}
    results = train_stage(tmp_path / "stage", settings, inputs, Board())
    assert results["taken_apart"]["trees"] == 2 and results["taken_apart"]["samples"] == 5
    assert results["steps"] == 3  # of two branches each


def test_a_dry_run_says_that_branches_become_samples(saved, tmp_path):
    write_dataset(tmp_path / "pairs", [tree(0, "a bus", "no")], name="pairs")
    (tmp_path / "recipe.yaml").write_text(
        json.dumps(
            {
                "name": "tiny",
                "model": {"pretrained": str(saved("qwen2_vl"))},
                "data": {"pairs": {"source": "shards", "path": "pairs"}},
                "cycle": {"rounds": 0},
                "stages": {"sft": {"mixture": [{"dataset": "pairs"}], "batch_size": 2}},
            }
        )
    )
    told = vila2("run", "recipe.yaml", "--dry-run", cwd=tmp_path)
    assert "each branch of a tree becomes a sample of its own, 2 of the first sample" in told.stdout


@pytest.mark.parametrize("plugin", ["spatial", "grounding", "ocr"])
def test_the_dry_run_of_a_specialist_takes_its_trees_apart(saved, tmp_path, plugin):
    captions(tmp_path / "mixed", "qwen2_vl")
    data = ("--data", "world:split=specialist,count=5", "--mix", "mixed")
    model = saved("qwen2_vl")
    told = vila2(
        "specialize", "--plugin", plugin, "--from", model, *data, "--dry-run", "--json", cwd=tmp_path
    )
    (stage,) = json.loads(told.stdout.splitlines()[-1])["samples"].values()
    assert stage["taken_apart"]["first"] >= (
        1 if plugin == "ocr" else 2
    )  # a scene without a sign says little
    assert "rows and columns" in stage["taken_apart"]["why"]
