"""The miniature world's scenes and images: the same everywhere, apart by split, complete and visible."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from vila2.sources.world import SPLITS, Scene, render, sample_scene, world_samples
from vila2.sources.world.scene import owners, sign_box
from vila2.sources.world.vocabulary import (
    KNOWN_SIGN_WORDS,
    SIGN_WORDS,
    TEST_SIGN_WORDS,
    TRAIN_SIGN_WORDS,
)

SCENES = [sample_scene("sft", 3, index) for index in range(150)]

_DIGEST = """
import hashlib, json
from vila2.sources.world import world_samples
print(hashlib.sha256(repr(list(world_samples("pretrain", 1, 4))).encode()).hexdigest())
"""


def test_another_process_makes_the_same_samples():
    here = hashlib.sha256(repr(list(world_samples("pretrain", 1, 4))).encode()).hexdigest()
    there = subprocess.run([sys.executable, "-c", _DIGEST], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_a_later_start_continues_the_same_stream():
    assert list(world_samples("test", 0, 3))[2] == next(world_samples("test", 0, 1, start=2))


def test_splits_and_seeds_share_no_scene():
    seen = [json.dumps(sample_scene(split, seed, index).to_json()["objects"])
            for split in SPLITS for seed in (0, 1) for index in range(10)]  # fmt: skip
    assert len(set(seen)) == len(seen)


def test_unknown_split_is_named():
    with pytest.raises(ValueError, match=r"'train'.*sft"):
        sample_scene("train", 0, 0)


def _printed(split, scenes):
    return [t.word for i in range(scenes) for t in sample_scene(split, 3, i).objects if t.word]


@pytest.mark.parametrize("split", ["pretrain", "sft", "specialist"])
def test_training_prints_a_few_known_words(split):
    assert 40 <= len(KNOWN_SIGN_WORDS) <= 60
    printed = _printed(split, 150)
    assert set(printed) <= set(KNOWN_SIGN_WORDS) and len(printed) > 100


def test_a_test_prints_known_words_and_words_that_no_training_shows():
    assert not set(TEST_SIGN_WORDS) & set(TRAIN_SIGN_WORDS) and len(TEST_SIGN_WORDS) > 40
    tested = _printed("test", 150)
    assert set(tested) <= {*KNOWN_SIGN_WORDS, *TEST_SIGN_WORDS}
    assert 0.4 < sum(word in KNOWN_SIGN_WORDS for word in tested) / len(tested) < 0.6
    assert set(_printed("vision", 150)) <= set(TRAIN_SIGN_WORDS)
    assert all(3 <= len(word) <= 5 for word in SIGN_WORDS)


def test_a_scene_survives_json():
    for scene in SCENES[:30]:
        assert Scene.from_json(json.loads(json.dumps(scene.to_json()))) == scene


def test_objects_are_visible_and_their_boxes_hold_them():
    for scene in SCENES:
        assert 2 <= len(scene.objects) <= 5
        owner, _ = owners(scene.objects)
        for number, thing in enumerate(scene.objects):
            assert thing.visibility >= 0.55
            rows, columns = np.nonzero(owner == number)
            x0, y0, x1, y1 = (edge * scene.size for edge in thing.box)
            assert 0 <= x0 < x1 <= scene.size and 0 <= y0 < y1 <= scene.size
            assert x0 - 1 <= columns.min() and columns.max() <= x1 + 1
            assert y0 - 1 <= rows.min() and rows.max() <= y1 + 1


def test_the_box_is_the_silhouette_of_an_unhidden_object():
    for scene in SCENES[:40]:
        owner, _ = owners(scene.objects)
        for number, thing in enumerate(scene.objects):
            if thing.visibility == 1:
                rows, columns = np.nonzero(owner == number)
                found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                assert np.abs(found - np.array(thing.box) * scene.size).max() < 1.6


def test_objects_stand_on_one_ground_and_project_through_the_camera():
    scene = SCENES[0]
    for thing in scene.objects:
        ground = thing.centre[1] + thing.dimensions[1] / 2
        assert ground == pytest.approx(2.05, abs=1e-3)
        u = (scene.K[0][0] * thing.centre[0] / thing.depth + scene.K[0][2]) / scene.size
        assert thing.box[0] < u < thing.box[2]


def test_the_image_shows_the_color_and_the_sign():
    red = next(s for s in SCENES for t in s.objects if t.colour == "red" and t.visibility == 1)
    thing = next(t for t in red.objects if t.colour == "red" and t.visibility == 1)
    pixels = np.asarray(render(red)).astype(int)
    x0, y0, x1, y1 = (round(edge * 96) for edge in thing.box)
    middle = pixels[(y0 + y1) // 2, (x0 + x1) // 2]
    assert middle[0] > 2 * max(middle[1], middle[2])
    signed = next(s for s in SCENES for t in s.objects if t.word)
    x0, y0, x1, y1 = next(sign_box(t) for t in signed.objects if t.word)
    plate = np.asarray(render(signed))[y0:y1, x0:x1]
    assert plate.max() > 200 and plate.min() < 60
