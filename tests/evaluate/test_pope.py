"""POPE: which things are asked for, and what answers are worth."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from vila2.data.evidence import Evidence, SceneObject
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.errors import DataError
from vila2.evaluate.kinds.pope import SETTINGS, given_questions, is_absent, presence_questions, score_presence
from vila2.sources import open_source

SCENES = list(open_source("world", split="test", count=60, content="test", questions=1))
LABELS = ("dog", "frisbee", "cat", "sofa", "car", "tree")


def photo(key: str, *labels: str, **more) -> Sample:
    objects = tuple(SceneObject(label=label) for label in labels)
    return Sample(
        key,
        (b"",),
        (),
        Evidence(objects=objects, **({"all_objects": True, "labels": LABELS} | more)).to_meta(),
    )


def test_every_setting_asks_as_often_for_what_is_there_as_for_what_is_not():
    asked = presence_questions(SCENES, seed=0)
    assert {q.sample.key for q in asked} == {sample.key for sample in SCENES}
    for sample in SCENES:
        names = {one.called for one in Evidence.of(sample).objects}
        own = [q for q in asked if q.sample.key == sample.key]
        assert all((q.thing.split(maxsplit=1)[1] in names) == q.present for q in own)
        assert len({q.thing for q in own}) == len(own)  # nothing is asked twice
        for setting in SETTINGS:
            counts = Counter(q.present for q in own if setting in q.settings)
            assert counts[True] == counts[False] == min(3, len(names))


def test_the_same_seed_asks_the_same_and_another_something_else():
    first, again, other = (
        [(q.item, q.settings) for q in presence_questions(SCENES, seed=seed)] for seed in (0, 0, 1)
    )
    assert first == again != other


def test_popular_and_adversarial_things_are_those_that_fool():
    photos = [photo(f"park{n}", "dog", "frisbee", "tree") for n in range(4)]
    photos += [photo(f"street{n}", "car") for n in range(6)]
    photos += [photo("home", "cat", "sofa"), photo("alone", "dog")]
    asked = [q for q in presence_questions(photos, seed=0) if q.sample.key == "alone" and not q.present]
    chosen = {setting: [q.thing.split()[1] for q in asked if setting in q.settings] for setting in SETTINGS}
    assert chosen["popular"] == ["car"]  # most images have one
    assert chosen["adversarial"] == ["frisbee"]  # where a dog is, there mostly is one


def test_what_evidence_does_not_tell_is_not_asked():
    red = SceneObject(label="car", name="red car")
    known = Evidence(objects=(red,), all_objects=True, labels=("car",))
    assert is_absent(known, "blue car", "car")
    assert not is_absent(known, "red car", "car")
    assert not is_absent(known, "car", "car")
    assert not is_absent(known, "dog", "dog")  # nobody looked for dogs
    assert not is_absent(Evidence(objects=(red,)), "blue car", "car")  # nor for every car
    unnamed = Evidence(objects=(SceneObject(label="car"),), all_objects=True)
    assert not is_absent(unnamed, "red car", "car")  # the car may be red
    with pytest.raises(DataError, match="what is there and what is not"):
        presence_questions(
            [photo("a", "dog", all_objects=False), photo("b", "cat", all_objects=False)], seed=0
        )


MEASURES = ("accuracy", "precision", "recall", "F1", "said yes")


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        (lambda q: "Yes." if q.present else "No.", (1, 1, 1, 1, 0.5)),
        (lambda q: "Yes, there is.", (0.5, 0.5, 1, 2 / 3, 1)),
        (lambda q: "no", (0.5, None, 0, 0, 0)),
        (lambda q: "I'm sorry, I cannot.", (0, None, 0, 0, 0)),
    ],
    ids=["right", "yes", "no", "refusal"],
)
def test_fixed_answers_score_their_baselines_and_a_refusal_is_never_right(say, expected):
    asked = presence_questions(SCENES, seed=0)
    measures = score_presence(asked, [say(q) for q in asked])
    for setting in SETTINGS:
        for name, value in zip(MEASURES, expected, strict=True):
            assert measures[f"{setting}: {name}"].value == (value if value is None else pytest.approx(value))
    assert measures["readable answers"].value == (0 if "sorry" in say(asked[0]) else 1)


def test_always_yes_scores_the_stated_baselines():
    asked = presence_questions(SCENES, seed=0)
    measures = score_presence(asked, ["yes"] * len(asked))
    stated = [items for items in measures.values() if items.baseline is not None]
    assert len(stated) == 9
    assert all(items.value == pytest.approx(items.baseline) for items in stated)


def test_items_are_images_so_that_two_models_are_compared_on_the_same():
    asked = presence_questions(SCENES, seed=0)
    keys = [sample.key for sample in SCENES]
    measures = score_presence(asked, ["yes"] * len(asked))
    assert all(items.keys == keys for items in measures.values())


def test_questions_that_come_with_the_images_are_taken_as_they_are():
    rows = [
        ("Is there a dog in the image?", "yes"),
        ("Is there a car in the image?", "no"),
        ("Is there a cat?", "no"),
    ]
    samples = [
        Sample(
            f"q{n}",
            (b"",),
            (user(ImagePart(), question), assistant(answer)),
            {"image": "one.jpg", "kind": "popular"},
        )
        for n, (question, answer) in enumerate(rows)
    ]
    asked = given_questions(samples)
    assert [(q.question, q.present, q.settings) for q in asked][:2] == [
        (rows[0][0], True, ("popular",)),
        (rows[1][0], False, ("popular",)),
    ]
    measures = score_presence(asked, ["Yes, a dog.", "Yes.", "No."])
    accuracy = measures["popular: accuracy"]
    assert (accuracy.value, accuracy.baseline) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert measures["popular: F1"].value == pytest.approx(2 / 3)
    assert measures["popular: F1"].baseline == pytest.approx(0.5)
    assert measures["popular: accuracy"].keys == ["one.jpg"]  # one image, one item
    with pytest.raises(DataError, match="yes or no"):
        given_questions([samples[0].with_turns((user(ImagePart(), "What is it?"), assistant("a dog")))])


def test_the_files_of_the_paper_can_be_asked(tmp_path):
    root = (
        Path(os.environ.get("VILA2_REALDATA", Path(__file__).parents[3] / "shared" / "realdata"))
        / "text"
        / "pope"
    )
    if not root.is_dir():
        pytest.skip("no POPE in VILA2_REALDATA")
    Image.new("RGB", (8, 8)).save(tmp_path / "x.jpg")
    rows = [json.loads(line) for line in (root / "coco_pope_popular.json").read_text().splitlines()]
    table = [
        {"image": "x.jpg", "question": r["text"], "answer": r["label"], "kind": "popular"} for r in rows[:300]
    ]
    (tmp_path / "pope.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    asked = given_questions(list(open_source("evidence", path=tmp_path / "pope.jsonl")))
    assert [q.question for q in asked] == [row["question"] for row in table]
    assert score_presence(asked, ["yes"] * len(asked))["popular: accuracy"].value == 0.5
