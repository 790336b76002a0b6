"""Of several samples of a caption, the one that the others agree with is kept, and a user sees the choice."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.caption.scripted import Scripted
from tests.caption.tiny_llava import picture
from vila2.caption.photos import recaption_photos
from vila2.caption.recaption import recaption
from vila2.caption.several_samples import SampleRank, Samples, count_choices
from vila2.claims.agreement import agreement, stated
from vila2.data.layers import Layer
from vila2.data.sample import ImagePart, Sample, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.engine.protocol import GenerationSettings
from vila2.errors import DataError

SETTINGS = GenerationSettings(max_new_tokens=40, seed=5)
CHOOSER = Samples(4, 0.7)
#: What is said in the first sample and in the three after it.
SAID = {
    "most": [
        "There is a green cone.",
        "There is a red cube and a blue ball.",
        "There is a red cube and a blue ball. The cube is left of the ball.",
        "There is a red cube.",
    ],
    "stutter": [
        "There is a red cube, a ball and a red cube.",
        *3 * ["There is a red cube, a cone and a red cube."],
    ],
    "first": 4 * ["There is a red cube and a blue ball."],
    "words": [
        "Nice weather outside today",
        "Sunny beach",
        "Sunny beach, happily",
        "Sunny beach, happily waving",
    ],
    "empty": ["", "There is a dog.", "There is a dog and a cat.", ""],
}
KEPT = {
    "most": (SAID["most"][1], "ok"),
    "stutter": (SAID["stutter"][1], "contradiction"),
    "first": (SAID["first"][0], "ok"),
    "words": (SAID["words"][2], "ok"),
    "empty": (SAID["empty"][2], "ok"),  # two that agree equally: the longer one
}


def say(key: str, settings: GenerationSettings) -> str:
    number = settings.seed - SETTINGS.seed
    assert settings.temperature == (0.7 if number else 0.0)
    return SAID[key.removesuffix(".png")][number]


@pytest.fixture
def dataset(tmp_path) -> ShardDataset:
    samples = [Sample(key, (picture(1),), (user(ImagePart()),)) for key in SAID]
    write_dataset(tmp_path / "data", samples, name="data", shard_size=2)
    return ShardDataset.open(tmp_path / "data")


def job(dataset, engine, folder, chooser=CHOOSER) -> Layer:
    return recaption(
        dataset, engine, folder=folder, layer="self-1", prompts=["simple"], settings=SETTINGS, seed=5,
        batch_size=2, chooser=chooser,
    )  # fmt: skip


def test_the_consistent_sample_that_the_others_agree_with_is_kept(dataset, tmp_path) -> None:
    layer = job(dataset, Scripted(say), tmp_path / "layer")
    assert {row.key: (row.text, row.status) for row in layer.rows()} == KEPT
    told = {row.key: SampleRank.parse(row.detail) for row in layer.rows()}
    assert (told["most"].number, told["most"].by) == (2, "claims")
    assert told["words"].by == "words", "captions that make no claim are compared word by word"
    assert "red cube" in told["stutter"].fault
    counts = count_choices(layer.rows())
    assert (counts.images, counts.first, counts.by_words) == (5, 1, 1)
    assert counts.agreement == pytest.approx(sum(one.agreement for one in told.values()) / 5, abs=1e-4)


def test_all_samples_can_be_kept_best_first(dataset, tmp_path) -> None:
    layer = job(dataset, Scripted(say), tmp_path / "layer", Samples(4, 0.7, keep_all=True))
    rows = [row for row in layer.rows() if row.key == "empty"]
    assert [row.status for row in rows] == ["ok", "ok", "empty", "empty"]
    assert Counter(row.key for row in layer.rows()) == dict.fromkeys(SAID, 4)
    best = job(dataset, Scripted(say), tmp_path / "best")
    assert count_choices(layer.rows()) == count_choices(best.rows()), "the images, not the samples of each"


@pytest.mark.parametrize("stop_after", [1, 4, 6, 11])
def test_a_killed_job_ends_with_the_same_bytes(dataset, tmp_path, stop_after) -> None:
    job(dataset, Scripted(say), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        job(dataset, Scripted(say, stop_after=stop_after), tmp_path / "stopped")
    job(dataset, Scripted(say), tmp_path / "stopped")
    content = [
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("whole", "stopped")
    ]
    assert content[0] == content[1]


@pytest.mark.parametrize("other", [None, Samples(3, 0.7), Samples(4, 0.9)])
def test_a_layer_is_not_mixed_with_one_that_was_chosen_otherwise(dataset, tmp_path, other) -> None:
    job(dataset, Scripted(say), tmp_path / "layer")
    with pytest.raises(DataError, match="choose"):
        job(dataset, Scripted(say), tmp_path / "layer", other)


def test_photographs_are_chosen_for_too_and_a_killed_job_goes_on(tmp_path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for key in SAID:
        (photos / f"{key}.png").write_bytes(picture(1))

    def described(out, engine):
        return recaption_photos(
            photos, engine, out=tmp_path / out, prompts=["simple"], settings=SETTINGS, seed=5, batch_size=2,
            chooser=CHOOSER,
        )  # fmt: skip

    summary = described("whole.jsonl", Scripted(say))
    rows = [json.loads(line) for line in (tmp_path / "whole.jsonl").read_text().splitlines()]
    assert {row["key"].removesuffix(".png"): (row["text"], row["status"]) for row in rows} == KEPT
    assert (summary.choices.images, summary.choices.first, summary.choices.by_words) == (5, 1, 1)
    with pytest.raises(KeyboardInterrupt):
        described("stopped.jsonl", Scripted(say, stop_after=6))
    described("stopped.jsonl", Scripted(say))
    assert (tmp_path / "stopped.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    with pytest.raises(DataError, match="choose"):
        recaption_photos(
            photos, Scripted(say), out=tmp_path / "whole.jsonl", prompts=["simple"], settings=SETTINGS,
            seed=5, batch_size=2,
        )  # fmt: skip


def test_agreement_counts_claims_once_for_each_time_that_they_are_made() -> None:
    once, twice = "There is a red cube.", "There is a red cube and a red cube."
    assert stated(twice).total() == 2
    found = agreement([once, once, twice])
    assert found.of_each == pytest.approx(((1 + 2 / 3) / 2, (1 + 2 / 3) / 2, 2 / 3))
    assert agreement(["A dog."]).of_each == (0.0,)
    assert agreement([]).of_each == ()


@pytest.mark.parametrize("standing", [
    SampleRank(2, 9, 0.25, "claims"),
    SampleRank(1, 2, 1.0, "words", fault="introduces 'a; b' again"),
    SampleRank(1, 2, 0.0, "claims", refuted=3, fault="says 4"),
])  # fmt: skip
def test_a_standing_is_read_as_it_was_written(standing) -> None:
    assert SampleRank.parse(str(standing)) == standing
    assert SampleRank.parse("attempt 2") is None
