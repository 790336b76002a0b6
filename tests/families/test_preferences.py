"""Preferences with a model of every family: at the start nothing has moved, and then the model learns."""

import pytest

from tests.families.cells import PLAIN, captions, stage_of
from tests.families.outcomes import REFUSALS
from tests.families.tiny import FAMILIES
from vila2.data.annotations import Annotation
from vila2.data.layers import write_layer
from vila2.data.shards import ShardDataset
from vila2.run.board import Board
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings


def trained(family, model, folder, **changes):
    dataset = ShardDataset.open(captions(folder / "pairs", family))

    def rows(key):
        prompt = "" if family in PLAIN else "What is it?"
        better, worse = (
            ("a red bus", "a bus a bus a bus") if key.startswith("photo") else ("a bus", "bus bus")
        )
        return [Annotation(key, prompt, better, "ok"), Annotation(key, prompt, worse, "rejected")]

    write_layer(dataset, rows, folder=folder / "layer", name="pairs-1", info={})
    (folder / "start").mkdir()
    (folder / "start" / "model").symlink_to(model)
    mixture = [{"dataset": "pairs", "view": "pairs(pairs-1)"}, {"dataset": "pairs"}]
    stage = stage_of(
        family, objective="preference", mixture=mixture, max_steps=4, learning_rate=3e-3,
        preference={"beta": 0.5}, **changes,
    )  # fmt: skip
    settings = TrainSettings(name="prefer", stage=stage, seed=0, dtype="float32")
    inputs = {
        "model": folder / "start",
        "data.pairs": folder / "pairs",
        "layer.pairs.pairs-1": folder / "layer",
    }
    return train_stage(folder / "stage", settings, inputs, Board())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_starts_from_its_reference_and_moves(saved, tmp_path, family):
    if (family, "*") in REFUSALS or (family, "stage") in REFUSALS:
        pytest.skip(f"{family} is refused, as tests/families/outcomes.py says")
    # A batch is one item: some processors' images of unequal sizes do not share one.
    preferred = trained(family, saved(family), tmp_path, device_batch_size=1)["preferred"]
    assert abs(preferred[0][2]) < 1e-3
    assert preferred[-1][2] > 0.01
