"""Answers read back: phrases of boxes, claims, what is not well formed, and what is known of the image."""

from __future__ import annotations

import pytest
from vila2 import BoxPart, Claim, Evidence
from vila2.data.coordinates import CoordinateScheme
from vila2.data.evidence import SceneObject
from vila2.plugin import Said

from vila2_grounding import PROMPTS
from vila2_grounding.parser import parse
from vila2_grounding.verifier import verify

TEXT, TOKENS = CoordinateScheme("text"), CoordinateScheme("tokens")


def said(text: str, prompt: str = PROMPTS[0], scheme: CoordinateScheme = TEXT) -> Said:
    return Said("k", prompt, text, scheme.to_parts(text))


def test_every_box_is_a_claim_of_the_phrase_before_it():
    text = "A blond woman [0.1,0.1,0.2,0.2] in a blue shirt [0.3,0.3,0.4,0.4], [0.5,0.5,0.6,0.6] waits."
    parsed = parse(said(text))
    assert parsed.status == "ok"
    assert [(one.subject, one.boxes[0][0]) for one in parsed.claims] == [
        ("blond woman", 0.1), ("blue shirt", 0.3), ("blue shirt", 0.5),
    ]  # fmt: skip
    assert [text[one.start : one.end] for one in parsed.claims] == [
        "A blond woman [0.1,0.1,0.2,0.2]",
        "a blue shirt [0.3,0.3,0.4,0.4]",
        "a blue shirt [0.3,0.3,0.4,0.4], [0.5,0.5,0.6,0.6]",
    ]


def test_location_tokens_are_read_as_text_boxes_are():
    text = "a red cube <loc_100><loc_200><loc_300><loc_400><loc_500><loc_500><loc_600><loc_600> and a cone."
    parsed = parse(said(text, scheme=TOKENS))
    assert [one.subject for one in parsed.claims] == ["red cube", "red cube"]
    assert parsed.claims[0].boxes[0] == pytest.approx((0.1005, 0.2005, 0.3005, 0.4005))
    assert all(text[one.start : one.end].startswith("a red cube <loc_100>") for one in parsed.claims)


def test_coordinates_that_are_not_well_formed_are_taken_out():
    parsed = parse(said("a dog [0.1,0.1,0.2,0.2] and a cat [0.9,0.1,0.2,0.2] near a man [10,20,30"))
    assert parsed.turns[1].text == "a dog  and a cat near a man" and "2 boxes" in parsed.detail
    assert sum(isinstance(part, BoxPart) for part in parsed.turns[1].parts) == 1
    assert parse(said("a dog [10,20,30,40]")).status == "error"


def test_an_answer_without_a_place_is_empty_only_where_places_were_asked_for():
    assert parse(said("There is nothing here.")).status == "empty"
    assert parse(said("a red cube", prompt="What is at [0.1,0.1,0.2,0.2]?")).status == "ok"
    assert parse(Said("k", PROMPTS[0], "x", (), "repetition")).status == "repetition"


CUBE = SceneObject(label="cube", name="red cube", box=(0.1, 0.1, 0.3, 0.3))


def status(subject: str, box: tuple, *, complete: bool = True, labels: tuple = ("cube", "ball")) -> str:
    claim = Claim("object", 0, 1, "unverified", subject=subject, boxes=(box,))
    return verify([claim], Evidence(objects=(CUBE,), all_objects=complete, labels=labels))[0].status


@pytest.mark.parametrize(
    ("subject", "box", "complete", "expected"),
    [
        ("red cube", (0.1, 0.1, 0.3, 0.3), True, "supported"),
        ("cube", (0.1, 0.1, 0.3, 0.28), False, "supported"),
        ("large red cube", (0.1, 0.1, 0.3, 0.3), True, "supported"),
        ("blue cube", (0.1, 0.1, 0.3, 0.3), True, "unverified"),
        ("red cube", (0.2, 0.1, 0.4, 0.3), True, "unverified"),
        ("red cube", (0.7, 0.7, 0.9, 0.9), True, "contradicted"),
        ("red cube", (0.7, 0.7, 0.9, 0.9), False, "unverified"),
        ("ball", (0.1, 0.1, 0.3, 0.3), True, "contradicted"),
        ("ball", (0.1, 0.1, 0.3, 0.3), False, "unverified"),
        ("cone", (0.1, 0.1, 0.3, 0.3), True, "unverified"),
    ],
)
def test_a_claim_is_contradicted_only_where_everything_is_known(subject, box, complete, expected):
    assert status(subject, box, complete=complete) == expected


def test_of_two_things_in_one_place_the_one_that_is_named_counts():
    blue = CUBE.model_copy(update={"name": "blue cube", "box": (0.1, 0.1, 0.3, 0.29)})
    claim = Claim("object", 0, 1, "unverified", subject="blue cube", boxes=(CUBE.box,))
    assert verify([claim], Evidence(objects=(CUBE, blue)))[0].status == "supported"


def test_a_label_that_was_not_looked_for_contradicts_nothing():
    assert status("red cube", (0.7, 0.7, 0.9, 0.9), labels=("ball",)) == "unverified"


def test_claims_of_other_kinds_stay_as_they_are():
    claim = Claim("count", 0, 1, "unverified", subject="cube", value="2")
    assert verify([claim], Evidence(objects=(CUBE,))) == (claim,)
