"""Samples that match another training: as many tokens, and the stage's own mixture as often as before."""

from __future__ import annotations

import pytest

from vila2.data.annotations import Annotation
from vila2.data.layers import write_layer
from vila2.data.shards import ShardDataset, write_dataset
from vila2.errors import TrainingError
from vila2.model.assemble import assemble
from vila2.model.conversation import ConversationEncoder
from vila2.recipe.parts.data import MixtureEntry
from vila2.recipe.parts.stage import STAGE_DEFAULTS, StageSpec
from vila2.recipe.passes import repeated, so_many
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.train.equal_compute import with_equal_compute
from vila2.train.mixture import open_mixture
from vila2.train.train_settings import EqualCompute


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    datasets = {"short": ("pretrain", "alt_text", 200), "long": ("pretrain", "test", 200)}
    datasets |= {"instructions": ("sft", "instructions", 20), "special": ("specialist", "instructions", 300)}
    for name, (split, content, count) in datasets.items():
        write_dataset(
            folder / name, open_source("world", split=split, count=count, content=content), name=name
        )
    return {f"data.{name}": folder / name for name in datasets}


@pytest.fixture(scope="module")
def processor():
    return assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)[1]


def stage(name, *datasets, **changes) -> StageSpec:
    mixture = [dataset if isinstance(dataset, dict) else {"dataset": dataset} for dataset in datasets]
    return StageSpec.model_validate(
        STAGE_DEFAULTS[name] | {"mixture": mixture, "batch_size": 4, "learning_rate": 1e-3} | changes
    )


def matched(sft, inputs, processor, more="long", less="short", others=("special",)):
    told = EqualCompute(datasets=tuple(others), more=stage("pretrain", more), less=stage("pretrain", less))
    return with_equal_compute(sft, told, inputs, processor, 0, Board())


def tokens(spec, inputs, processor, *datasets) -> int:
    entries = tuple(entry for entry in spec.mixture if not datasets or entry.dataset in datasets)
    mixture = open_mixture(spec.model_copy(update={"mixture": entries}), inputs, 0)
    encoder = ConversationEncoder(processor, max_length=spec.max_length)
    return sum(encoder.length(sample, spec.style) for sample in mixture) * spec.epochs


def test_the_other_samples_take_the_tokens_of_the_longer_captions(inputs, processor):
    wanted = [tokens(stage("pretrain", name), inputs, processor) for name in ("long", "short")]
    spec = matched(stage("sft", "instructions", "special", epochs=3), inputs, processor)
    assert tokens(spec, inputs, processor, "special") == pytest.approx(wanted[0] - wanted[1], rel=0.06)


@pytest.mark.parametrize("own", [{"dataset": "instructions"}, {"dataset": "instructions", "count": 10}])
def test_the_own_mixture_is_seen_as_often_as_before(inputs, processor, own):
    alone = stage("sft", own, epochs=3)
    spec = matched(stage("sft", own, "special", epochs=3), inputs, processor)
    assert tokens(spec, inputs, processor, "instructions") == tokens(alone, inputs, processor)


def test_without_other_samples_the_own_ones_take_the_tokens(inputs, processor):
    wanted = [tokens(stage("pretrain", name), inputs, processor) for name in ("long", "short")]
    alone = stage("sft", "instructions", epochs=3)
    spec = matched(alone, inputs, processor, others=())
    gained = tokens(spec, inputs, processor) - tokens(alone, inputs, processor)
    assert gained == pytest.approx(wanted[0] - wanted[1], rel=0.01)


def test_equal_passes_read_the_other_samples_as_often_as_their_weight_says(inputs, processor):
    sft = stage("sft", "instructions", {"dataset": "special", "weight": 2.5}, epochs=3)
    longer = stage("pretrain", "long")
    told = EqualCompute(datasets=("special",), more=longer, less=longer, passes=True)
    spec = with_equal_compute(sft, told, inputs, processor, 0, Board())
    alone = {name: stage("sft", name) for name in ("instructions", "special")}
    once = {name: tokens(one, inputs, processor) for name, one in alone.items()}
    assert tokens(spec, inputs, processor, "special") == pytest.approx(2.5 * once["special"], rel=0.02)
    assert tokens(spec, inputs, processor, "instructions") == 3 * once["instructions"]


def test_equal_total_also_takes_the_tokens_of_other_trainings_and_of_what_was_written(inputs, processor):
    data = ShardDataset.open(inputs["data.short"])
    folder = inputs["data.short"].parent / "said"
    write_layer(
        data,
        lambda key: [Annotation(key, "What is there?", "a red cube.", "ok")] * (key in data.keys()[:100]),
        folder=folder,
        name="said",
        info={},
    )
    more, less = stage("pretrain", "long"), stage("pretrain", "short")
    other = stage("sft", "special", epochs=2)
    written = {"images": "short", "asked": ("said",)}
    told = EqualCompute(datasets=("special",), more=more, less=less, also=(other,), **written)
    sft, read = stage("sft", "instructions", "special"), inputs | {"layer.short.said": folder}
    spec = with_equal_compute(sft, told, read, processor, 0, Board())
    asked = 36 + len(processor.tokenizer("What is there? a red cube.").input_ids)
    wanted = tokens(more, inputs, processor) - tokens(less, inputs, processor)
    wanted += tokens(other, inputs, processor)
    found = tokens(spec, inputs, processor, "special")
    assert wanted + 100 * asked < found < wanted + 100 * (asked + 8)


def test_nothing_to_match_is_said(inputs, processor):
    with pytest.raises(TrainingError, match="no compute to match"):
        matched(stage("sft", "instructions", "special"), inputs, processor, more="short", less="long")
    with pytest.raises(TrainingError, match="max_steps"):
        matched(stage("sft", "instructions", "special", max_steps=3), inputs, processor)


def test_an_entry_that_readsso_many_is_repeated_as_it_is():
    entry = MixtureEntry(dataset="d", count=500)
    assert so_many(entry, 500, 1250) == [entry, entry, entry.model_copy(update={"count": 250})]
    assert repeated(entry, 0.5) == [entry.model_copy(update={"count": 250})]
    assert repeated(entry, 2.0) == [entry, entry]
    # Without a count, whole passes are a weight.
    free = MixtureEntry(dataset="d")
    assert [(one.weight, one.count) for one in so_many(free, 500, 1250)] == [(2.0, None), (1.0, 250)]
