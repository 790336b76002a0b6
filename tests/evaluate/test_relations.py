"""True and false statements about two things: that they are so, balanced, and told by looking only."""

from __future__ import annotations

from collections import Counter

import pytest

from vila2.data.evidence import Evidence, SceneObject
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.errors import DataError
from vila2.evaluate.kinds.relations import given_statements, score_statements, statements
from vila2.evaluate.measures.placing import relation
from vila2.sources import open_source
from vila2.sources.world import Scene, check_caption

SCENES = list(open_source("world", split="test", count=60, content="test", questions=1))


def thing(label: str, *box: float) -> SceneObject:
    return SceneObject(label=label, box=box)


def photo(*things: SceneObject, complete: bool = True) -> Sample:
    return Sample("photo", (b"",), (), Evidence(objects=things, all_objects=complete).to_meta())


def test_statements_about_scenes_are_as_the_world_says():
    made = statements(SCENES, seed=0)
    assert {one.axis for one in made} == {"left/right", "front/behind"}
    for one in made:
        scene = Scene.from_json(one.sample.meta["scene"])
        (claim,) = [claim for claim in check_caption(scene, one.text) if claim.kind == "relation"]
        assert claim.status == ("supported" if one.true else "contradicted"), one


def test_every_pair_is_stated_both_ways_and_no_word_is_truer_than_another():
    made = statements(SCENES, seed=0)
    assert all(
        sorted(one.true for one in made if one.pair == pair) == [False, True]
        for pair in {s.pair for s in made}
    )
    assert made == statements(SCENES, seed=0) != statements(SCENES, seed=1)
    true = Counter(
        word for one in made if one.true for word in ("left", "right", "front", "behind") if word in one.text
    )
    for pair in (("left", "right"), ("front", "behind")):
        assert 0.35 < true[pair[0]] / (true[pair[0]] + true[pair[1]]) < 0.65


def test_boxes_tell_left_right_above_and_below_where_they_are_clear():
    dog, ball, lamp = (
        thing("dog", 0.1, 0.6, 0.3, 0.9),
        thing("ball", 0.7, 0.7, 0.8, 0.8),
        thing("lamp", 0.15, 0.1, 0.3, 0.3),
    )
    assert relation(dog, ball, "left/right") == -1
    assert relation(ball, dog, "left/right") == 1
    assert relation(lamp, dog, "above/below") == -1
    assert relation(lamp, ball, "above/below") is None  # higher, but beside
    assert relation(lamp, dog, "left/right") is None
    assert relation(dog, ball, "front/behind") is None  # an image does not tell depth
    rider, horse = thing("rider", 0.2, 0.1, 0.4, 0.5), thing("horse", 0.3, 0.3, 0.9, 0.9)
    assert relation(rider, horse, "left/right") is None
    texts = {one.text: one.true for one in statements([photo(dog, ball, lamp)], seed=0)}
    assert texts.get("The dog is to the left of the ball.", True) and texts.get(
        "The lamp is above the dog.", True
    )
    assert sum(texts.values()) == len(texts) / 2 == 3


def test_things_of_one_name_and_images_not_fully_known_are_not_asked_about():
    twins = (thing("dog", 0.1, 0.6, 0.3, 0.9), thing("dog", 0.7, 0.7, 0.8, 0.8))
    for sample in (photo(*twins), photo(twins[0], thing("cat", 0.7, 0.7, 0.8, 0.8), complete=False)):
        with pytest.raises(DataError, match="in no image are there two things"):
            statements([sample], seed=0)


def test_a_fixed_answer_has_half_right_and_no_pair():
    made = statements(SCENES, seed=0)
    blind = score_statements(made, ["True."] * len(made))
    right = score_statements(made, ["yes" if one.true else "That is false." for one in made])
    unread = score_statements(made, ["a red cube"] * len(made))
    assert (blind["all statements"].value, blind["right both ways"].value, blind["said true"].value) == (
        0.5,
        0,
        1,
    )
    assert (right["all statements"].value, right["right both ways"].value, right["said true"].value) == (
        1,
        1,
        0.5,
    )
    assert (unread["all statements"].value, unread["readable answers"].value) == (0, 0)
    assert blind["left/right"].value == blind["front/behind"].value == 0.5


def test_statements_that_come_with_the_images_are_taken_as_they_are():
    rows = [("The cat is under the table.", "true", "under"), ("The dog is on the sofa.", "false", "on")]
    samples = [
        Sample(str(n), (b"",), (user(ImagePart(), text), assistant(answer)), {"kind": kind})
        for n, (text, answer, kind) in enumerate(rows)
    ]
    measures = score_statements(given_statements(samples), ["True.", "It is true."])
    assert (measures["under"].value, measures["on"].value, measures["all statements"].value) == (1, 0, 0.5)
    assert measures["under"].baseline == 1  # a single statement can be guessed
    assert "right both ways" not in measures
    with pytest.raises(DataError, match="true or false"):
        given_statements([samples[0].with_turns((user(ImagePart(), "Where?"), assistant("under")))])
