"""Self-consistency: the same said again, but not of everything."""

from __future__ import annotations

import pytest

from vila2.data.sample import Sample
from vila2.errors import DataError
from vila2.evaluate.kinds.consistency import score_consistency
from vila2.sources import open_source
from vila2.sources.world import Scene, detailed_caption, generator

PHOTOS = [Sample(key) for key in ("dog", "bike", "snow")]


def values(samples, texts):
    return {name: items.value for name, items in score_consistency(samples, texts).items()}


def test_a_model_that_sees_agrees_with_itself_and_not_with_others():
    found = values(
        PHOTOS, [["a brown dog", "the dog is brown"], ["a red bike", "a bike"], ["deep snow", "snow"]]
    )
    assert found["agreement with itself"] == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert found["agreement with captions of another image"] == 0
    assert found["lead of the own image"] == found["agreement with itself"]


def test_one_sentence_of_everything_has_no_lead():
    found = values(PHOTOS, [["a man in a red shirt"] * 3] * 3)
    assert (found["agreement with itself"], found["lead of the own image"]) == (1, 0)


def test_of_scenes_true_claims_are_said_again_and_made_up_ones_are_not():
    samples = list(open_source("world", split="test", count=20, content="test", questions=1))
    texts = []
    for n, sample in enumerate(samples):
        scene = Scene.from_json(sample.meta["scene"])
        thing = scene.objects[0]
        colors = ["red", "blue", "green"]
        texts.append([f"There is a {thing.name}. There is a {colors[(n + k) % 3]} cone." for k in range(3)])
    found = values(samples, texts)
    assert found["true claims said again"] > 0.75
    assert found["false claims said again"] < 0.6
    scenes = [Scene.from_json(sample.meta["scene"]) for sample in samples]
    true = [[detailed_caption(scene, generator("c", scene.key, k)) for k in range(2)] for scene in scenes]
    assert values(samples, true)["false claims said again"] is None


def test_one_caption_has_nothing_to_agree_with():
    with pytest.raises(DataError, match="nothing to agree with"):
        score_consistency(PHOTOS, [["a dog"]] * 3)
    with pytest.raises(DataError, match="nothing to agree with"):
        score_consistency(PHOTOS[:1], [["a dog", "a dog"]])
