"""The English of questions: nothing ambiguous, nothing that nobody says, answers that fit the question."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest
from vila2.data.exchanges import exchanges_of
from vila2.data.sample import Sample

from vila2_spatial.builder import SpatialBuilder, SpatialConfig
from vila2_spatial.wording import FULL, PLAIN

TEMPLATES = [
    (form, one.question, one.answer)
    for wording in (FULL, PLAIN)
    for (_, form), options in wording.templates.items()
    for one in options
]
WRONG = {
    "two readings: closer to B than to A, or than A is": r"than \{o\}\?",
    "asked how far, told close": r"[Hh]ow far (from the camera )?is \{t\}",
    "where it is, or where it is when closest": r"^Where .*\{label\} (closest|\{rel\} the camera)",
    "the image in the thing's place": r"\{a\} in the image|the camera in the image",
    "sideways, in depth": r"placed sideways|in depth",
}


@pytest.mark.parametrize("why", WRONG)
def test_no_question_is_ambiguous_or_odd(why):
    assert [question for _, question, _ in TEMPLATES if re.search(WRONG[why], question)] == []


def test_nobody_is_called_it():
    """Pedestrians and cyclists are asked about in the same words as cars."""
    asked = [one.question for options in FULL.templates.values() for one in options]
    assert [question for question in asked if re.search(r"(in front of|behind) it\b", question)] == []


def test_every_question_ends_as_one_and_every_sentence_is_asked_for():
    for form, question, answer in TEMPLATES:
        asks = question.endswith("?") or re.search(
            r"\?( Give| Answer)|^(Locate|Compare|Describe|Say|Of)", question
        )
        assert asks, question
        assert (form == "sentence") == (answer.endswith(".") and "is" in answer.split()), (question, answer)


def test_the_words_of_a_choice_are_those_that_the_question_offers():
    for wording in (FULL, PLAIN):
        for (group, form), options in wording.templates.items():
            for one in options if form == "choice" and group == "depth" else ():
                assert all(wording.words[name].lower() in one.question for name in ("front", "behind"))
    assert FULL.words["front"] == "In front"


def test_the_miniature_knows_every_word():
    tokenizer = json.loads((files("vila2.sources.world") / "parts/language/tokenizer.json").read_text())
    spoken = " ".join(one.question + " " + one.answer for group in PLAIN.templates.values() for one in group)
    words = re.findall(r"[a-z]+", re.sub(r"\{\w+\}", " ", spoken).lower())
    assert [word for word in words if word not in tokenizer["model"]["vocab"]] == []


def test_real_scenes_are_asked_about_the_image_not_about_a_place_beside_the_camera(real):
    builder = SpatialBuilder(SpatialConfig(data=real / "scenes3d" / "scenes3d.jsonl"))
    found = [
        (one.kind, one.question.text)
        for shard in builder.shards()
        for sample in builder.build(shard)
        if isinstance(sample, Sample)
        for one in exchanges_of(sample)
    ]
    assert len(found) > 300
    sides = [text for kind, text in found if kind in ("camera_left", "camera_right")]
    assert sides and all("of the image" in text and "camera" not in text for text in sides)
