"""The English of questions, answers and narrations, and that they do not contradict each other."""

from __future__ import annotations

import json
import re
from collections import defaultdict

import pytest
from conftest import ROW, picture, row_file
from vila2.data.evidence import Evidence, SceneObject
from vila2.data.exchanges import exchanges_of
from vila2.data.sample import BoxPart, Sample

from vila2_grounding.asking import REGIONS
from vila2_grounding.phrases import are_places, definite, is_one_place, names_several, with_article
from vila2_grounding.readers.things import read_things


def narrations(*names, count=40):
    objects = tuple(
        SceneObject(label=name, box=(n / 10, 0.2, n / 10 + 0.08, 0.5)) for n, name in enumerate(names)
    )
    meta = Evidence(objects=objects).to_meta()
    samples = [Sample(str(n), (picture(),), (), meta) for n in range(count)]
    return {one.caption for sample in samples for one in read_things(sample)}


def test_verbs_agree_and_labels_are_words():
    found = narrations("chair", "chair", "sofa")
    assert "There are two chairs and a sofa." in found
    assert not any("is two" in one or "There is chairs" in one for one in found)
    found = narrations("diningtable", "aeroplane", "tvmonitor", "pottedplant")
    text = " ".join(found)
    assert "a dining table" in text and "an airplane" in text and "a TV monitor" in text
    assert not re.search("diningtable|aeroplane|tvmonitor|pottedplant", text)


def test_narrations_are_sentences_that_vary_and_phrases_are_where_they_say():
    assert len(narrations("dog", "sofa")) >= 3
    for one in narrations("dog", "cat", "car", "bus", "cow"):
        assert one.count(".") == 2 and re.search(r"\. (There|We also|The image also)", one)
        assert all(sentence.strip()[0].isupper() for sentence in one.split(".") if sentence)


def wide():
    objects = (
        SceneObject(label="dog", box=(0.1, 0.2, 0.3, 0.5)),
        SceneObject(label="sofa", box=(0.6, 0.2, 0.9, 0.5)),
    )
    meta = Evidence(objects=objects).to_meta()
    found = [one for n in range(40) for one in read_things(Sample(str(n), (picture(),), (), meta))]
    for one in found:
        assert [one.words(phrase).lower() for phrase in one.phrases] == ["a dog", "a sofa"]
    return {one.caption for one in found}


def test_a_clear_relation_is_told():
    assert "A dog is to the left of a sofa." in wide()


@pytest.mark.parametrize("phrase", ["two dogs", "the women", "a group of people", "another dog", "a couple"])
def test_phrases_for_several_things_are_known(phrase):
    assert names_several(phrase)


@pytest.mark.parametrize(
    ("phrase", "said"),
    [("dog", "a dog"), ("orange cube", "an orange cube"), ("grass", "grass"), ("her bike", "a bike"),
     ("one larger dog", "a larger dog"), ("Frisbee", "a Frisbee"), ("Tower Bridge", "Tower Bridge"),
     ("unicycle", "a unicycle"), ("the man", "the man"), ("scissors", "scissors"), ("two dogs", "two dogs")],
)  # fmt: skip
def test_an_answer_has_its_article(phrase, said):
    assert with_article(phrase) == said


def test_several_things_are_never_one_box(tmp_path, build):
    chunks = [[14, 26, 0.3, 0.1, 0.5, 0.4, 0.9]]  # "and two cats", with the box of one of them
    row = {**ROW, "noun_chunks": [[18, 26, *chunks[0][2:]]], "ref_exps": []}
    samples, rejects = build(row_file(tmp_path, row), referring=9, regions=9)
    assert not samples and [one.reason for one in rejects] == ["no-question"]


def test_a_narration_gives_two_things_two_boxes_or_none(tmp_path, build):
    chunks = [[2, 13, 0.1, 0.2, 0.3, 0.5, 0.8], [18, 26, 0.3, 0.1, 0.5, 0.4, 0.9]]
    row = {**ROW, "noun_chunks": chunks, "ref_exps": []}
    assert (row["caption"][2:13], row["caption"][18:26]) == ("a brown dog", "two cats")
    (sample,), _ = build(row_file(tmp_path, row), referring=0, regions=0)
    assert [part.box for part in sample.turns[2].parts if isinstance(part, BoxPart)] == [(0.1, 0.2, 0.3, 0.5)]
    row["noun_chunks"].append([18, 26, 0.6, 0.1, 0.8, 0.4, 0.9])
    (sample,), _ = build(row_file(tmp_path, row), referring=0, regions=0)
    assert len([part for part in sample.turns[2].parts if isinstance(part, BoxPart)]) == 3


@pytest.mark.parametrize(
    ("phrase", "one"),
    [
        ("a dog", True),
        ("two dogs", False),
        ("the women", False),
        ("a group of people", True),
        ("another man", True),
        ("another two dogs", False),
    ],
)
def test_one_box_is_the_place_of_a_group_and_not_of_two(phrase, one):
    assert is_one_place(phrase) is one


@pytest.mark.parametrize(
    ("phrase", "counts"),
    [("two people", {2}), ("both dogs", {2}), ("three girls", {3}), ("the women", {2, 3}), ("a dog", {1}),
     ("a group of people", {1, 2, 3}), ("another dog", {1}), ("people", {2, 3})],
)  # fmt: skip
def test_a_phrase_has_as_many_boxes_as_it_says(phrase, counts):
    assert {count for count in (1, 2, 3) if are_places(phrase, count)} == counts


@pytest.mark.parametrize(
    ("phrase", "said"), [("his bike", "the bike"), ("one dog", "the dog"), ("a cat", "the cat")]
)
def test_a_question_says_the(phrase, said):
    assert definite(phrase) == said


def test_nobody_is_called_an_object():
    assert [one for one in REGIONS if "object" in one or "thing" in one] == []


@pytest.mark.parametrize("between", [0, 1])
def test_captions_of_one_photo_do_not_contradict_each_other(tmp_path, build, between):
    one = [[2, 13, 0.1, 0.2, 0.3, 0.5, 0.8]]
    other = [[2, 13, 0.6, 0.2, 0.9, 0.5, 0.8]]
    rows = [
        {**ROW, "image": f"{ROW['key']}.jpg", "caption_index": n, "noun_chunks": chunks, "ref_exps": []}
        for n, chunks in enumerate((one, other))
    ]
    rows[1:1] = [{**ROW, "key": "another"}] * between
    file = row_file(tmp_path, *rows)
    if between:
        next(tmp_path.rglob(f"{ROW['key']}.jpg")).with_name("another.jpg").write_bytes(picture())
    samples, _ = build(file, referring=9, regions=9)
    assert len(samples) == 2 + between
    samples = [one for one in samples if one.meta["image"] == f"{ROW['key']}.jpg"]
    assert len(samples) == 2
    assert not [one for sample in samples for one in exchanges_of(sample) if one.kind == "referring"]


def test_of_real_captions_no_phrase_has_two_boxes_in_one_photo(real, tmp_path, build):
    source = real / "flickr8k" / "grit_like_flickr8k.jsonl"
    with source.open() as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(1500), strict=False)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    samples, _ = build(path, images=real / "flickr8k")
    asked = defaultdict(set)
    regions = 0
    for sample in samples:
        for one in exchanges_of(sample):
            text = one.question.text.lower()
            if one.kind == "referring":
                (place,) = (part.box for part in one.answer.parts if isinstance(part, BoxPart))
                phrase = re.sub(
                    r".*?(?:location of|where is) (.*?)(?: in the image.*| with \[.*)$", r"\1", text
                )
                assert not names_several(phrase), text
                asked[sample.meta["image"], phrase].add(place)
            elif one.kind == "region":
                regions += 1
                assert not names_several(one.answer.text), one.answer.text
    assert len(asked) > 300 and regions > 300
    assert all(len(places) == 1 for places in asked.values())
