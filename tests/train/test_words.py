"""Aligning by words: the projector alone learns, and what it gives of an image names what is in it."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.errors import TrainingError
from vila2.model.assemble import assemble
from vila2.model.conversation import ConversationEncoder
from vila2.model.generalist import load_generalist
from vila2.model.saving import save_model
from vila2.packing.collate import Collator
from vila2.recipe.checks.across import cross_problems
from vila2.recipe.parts.stage import STAGE_DEFAULTS, StageSpec
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings
from vila2.train.words_objective import WordsObjective


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_dataset(
        folder / "pairs", open_source("world", split="sft", count=32, content="alt_text"), name="pairs"
    )
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, folder / "parts" / "model")
    return {"model": folder / "parts", "data.pairs": folder / "pairs"}


def trained(folder, inputs, **changes):
    stage = StageSpec.model_validate(
        STAGE_DEFAULTS["align"]
        | {"objective": "words", "mixture": [{"dataset": "pairs"}], "batch_size": 8, "learning_rate": 3e-3}
        | changes
    )
    settings = TrainSettings(name="align", stage=stage, seed=0, dtype="float32")
    return train_stage(folder, settings, inputs, Board())


def test_only_the_projector_learns_and_its_tokens_name_what_is_in_the_image(inputs, tmp_path):
    results = trained(tmp_path, inputs, epochs=12)
    losses = [loss for _, loss in results["loss"]]
    assert results["trained"] == ["projector"] and losses[-1] < losses[0] - 0.5
    before, after = (load_file(f / "model" / "model.safetensors") for f in (inputs["model"], tmp_path))
    assert all(
        "multi_modal_projector" in name for name in before if not torch.equal(before[name], after[name])
    )
    generalist = load_generalist(tmp_path / "model")
    encoder = ConversationEncoder(generalist.processor)
    samples = list(ShardDataset.open(inputs["data.pairs"]))
    tokenizer = generalist.processor.tokenizer
    objective = WordsObjective(generalist.model.get_input_embeddings().weight, samples, tokenizer)
    batch = Collator(tokenizer.pad_token_id)([encoder.encode(sample, "plain") for sample in samples])
    with torch.no_grad():
        own = objective(generalist.model, batch)
        assert objective(generalist.model, batch) == own, "features that were kept give the same"
        others = objective(generalist.model, batch | {"pixel_values": batch["pixel_values"].roll(1, 0)})
    assert own < others - 0.2


def test_an_image_with_several_captions_is_one_sample_with_all_their_words(inputs, tmp_path):
    pairs = list(ShardDataset.open(inputs["data.pairs"]))
    several = [
        Sample(pair.key, pair.images, (*pair.turns, user("?", branch=1), assistant("a red cube", branch=1)))
        for pair in pairs[:16]
    ] + pairs[16:]
    write_dataset(tmp_path / "several", several, name="pairs")
    results = trained(tmp_path / "out", inputs | {"data.pairs": tmp_path / "several"}, epochs=12)
    assert results["samples"] == len(pairs) and results["loss"][-1][1] < results["loss"][0][1]


def test_small_device_batches_make_the_same_model(inputs, tmp_path):
    trained(tmp_path / "whole", inputs)
    trained(tmp_path / "parts", inputs, device_batch_size=2)
    whole, parts = (load_file(tmp_path / f / "model" / "model.safetensors") for f in ("whole", "parts"))
    # Adam divides by the gradient's size, so a factor in the gradient shows only through its epsilon.
    metrics = [(tmp_path / f / "metrics.jsonl").read_text().splitlines()[0] for f in ("whole", "parts")]
    losses = [json.loads(line)["loss"] for line in metrics]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert all(torch.allclose(whole[name], parts[name], atol=1e-4) for name in whole)


def test_texts_without_a_word_of_their_own_cannot_be_learned(inputs):
    generalist = load_generalist(inputs["model"] / "model")
    samples = [Sample(str(n), (b"",), (user(ImagePart()), assistant("a red cube"))) for n in range(3)]
    with pytest.raises(TrainingError, match="no word distinguishes"):
        WordsObjective(
            generalist.model.get_input_embeddings().weight, samples, generalist.processor.tokenizer
        )


def test_a_recipe_that_trains_more_than_the_projector_by_words_is_refused():
    stage = {
        "objective": "words",
        "train": ["projector", "language"],
        "mixture": [{"dataset": "pairs"}],
    }
    problems = cross_problems({"data": {"pairs": {"source": "world"}}, "stages": {"align": stage}})
    assert [p.where for p in problems if "projector" in p.what] == [("stages", "align", "objective")]
