"""Stages that train on packs: the same losses as padded ones, resumed exactly, with trees too."""

import json

import numpy as np
import pytest
import torch

from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import write_dataset
from vila2.errors import TrainingError
from vila2.model.assemble import assemble
from vila2.model.saving import save_model
from vila2.recipe.checks.across import cross_problems
from vila2.recipe.parts.stage import StageSpec
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("inputs")
    samples = list(open_source("world", split="sft", count=16, content="instructions", questions=3))
    write_dataset(folder / "dialogues", iter(samples), name="dialogues")
    write_dataset(folder / "trees", (as_tree(sample) for sample in samples), name="trees")
    texts = (Sample(f"t{n}", (), (user("what is it?"), assistant("a red cube"))) for n in range(8))
    write_dataset(folder / "texts", texts, name="texts")
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, folder / "parts" / "model")
    names = ("dialogues", "trees", "texts")
    return {"model": folder / "parts", **{f"data.{name}": folder / name for name in names}}


def as_tree(sample: Sample) -> Sample:
    """Every exchange of a dialogue as a branch of its own."""
    turns = [user(ImagePart())]
    answers = [turn for turn in sample.turns if turn.role == "assistant"]
    for number, turn in enumerate(answers, start=1):
        turns += [user("what?", branch=number), assistant(turn.text, branch=number)]
    return sample.with_turns(tuple(turns))


def settings(*datasets: str, **changes):
    stage = StageSpec.model_validate(
        {
            "train": ["projector", "language"],
            "mixture": [{"dataset": dataset} for dataset in datasets],
            "style": "chat",
            "learning_rate": 1e-2,
            "batch_size": 8,
            "schedule": "constant",
            "warmup_ratio": 0,
        }
        | changes
    )
    return TrainSettings(name="sft", stage=stage, seed=0, dtype="float32")


def losses(folder):
    entries = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [(entry["step"], entry["loss"]) for entry in entries if "loss" in entry]


def test_one_step_over_everything_has_the_loss_and_gradient_of_a_padded_step(inputs, tmp_path):
    found = {}
    for name, changes in (("padded", {"device_batch_size": 4}), ("packed", {"pack_length": 256})):
        spec = settings("dialogues", "texts", batch_size=24, **changes)
        results = train_stage(tmp_path / name, spec, inputs, Board())
        assert results["steps"] == 1
        entry = json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[0])
        found[name] = (entry["loss"], entry["grad_norm"])
    assert results["packing"]["packs_per_step"] == results["packing"]["packs"] > 1
    assert 0.8 < results["packing"]["fill"] <= 1
    assert found["packed"] == pytest.approx(found["padded"], rel=1e-5)


class Killed(Board):
    """A progress that ends the run at a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.last = step

    def task(self, label, total):
        outer, inner = self, super().task(label, total)

        class Task:
            done = 0

            def __enter__(self):
                self.task = inner.__enter__()
                return self

            def __exit__(self, *error):
                return inner.__exit__(*error)

            def advance(self, n=1, note=""):
                self.task.advance(n, note)
                self.done += n
                if label.startswith("train") and self.done >= outer.last:
                    raise KeyboardInterrupt

        return Task()


def test_a_stopped_stage_goes_on_with_the_losses_of_an_undisturbed_one(inputs, tmp_path):
    spec = settings("trees", "texts", pack_length=128, pack_images=6, max_steps=6, batch_size=4, save_steps=4)
    whole = train_stage(tmp_path / "whole", spec, inputs, Board())
    assert 1 < whole["packing"]["packs_per_step"] < whole["packing"]["packs"]
    with pytest.raises(KeyboardInterrupt):
        train_stage(tmp_path / "stopped", spec, inputs, Killed(5))
    assert len(losses(tmp_path / "stopped")) < whole["steps"]
    train_stage(tmp_path / "stopped", spec, inputs, Board())
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")


def test_a_tree_in_a_padded_stage_has_the_loss_of_the_packed_one(inputs, tmp_path):
    found = []
    for name, changes in (("padded", {"device_batch_size": 4}), ("packed", {"pack_length": 300})):
        train_stage(tmp_path / name, settings("trees", batch_size=16, **changes), inputs, Board())
        found.append(losses(tmp_path / name)[0][1])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_sample_that_changed_under_the_plan_is_named(inputs, tmp_path):
    spec = settings("texts", pack_length=64)
    train_stage(tmp_path, spec, inputs, Board())
    kept = dict(np.load(tmp_path / "lengths.npz"))
    np.savez(tmp_path / "lengths.npz", **kept | {"tokens": kept["tokens"] + 1})
    (tmp_path / "trained.json").unlink()  # so that the stage is trained again, on the plan that is there
    with pytest.raises(TrainingError, match=r"sample 't\d' has \d+ tokens"):
        train_stage(tmp_path, spec, inputs, Board())


def test_the_recipe_says_what_does_not_go_together():
    def problems(**changes):
        recipe = {
            "data": {"d": {"source": "world"}},
            "stages": {"sft": settings("d").stage.model_dump(mode="json") | changes},
        }
        return [problem.where[-1] for problem in cross_problems(recipe) if problem.where[0] == "stages"]

    assert problems(pack_length=64) == []
    assert problems(pack_length=64, device_batch_size=4) == ["device_batch_size"]
    assert problems(pack_images=4) == ["pack_images"]
