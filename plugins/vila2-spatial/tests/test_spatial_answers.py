"""Answers: parsed to claims, claims checked, answers scored."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from vila2 import BoxPart, Claim, Evidence, Sample, TextPart
from vila2.data.exchanges import exchanges_of
from vila2.data.sample import Turn
from vila2.plugin import Asked, Said

from vila2_spatial.builder import SpatialBuilder, SpatialConfig
from vila2_spatial.metrics import score
from vila2_spatial.parser import parse
from vila2_spatial.readers.frames import box3d
from vila2_spatial.relations import RELATIONS
from vila2_spatial.verifier import verify


def said(text: str, *parts, status: str = "ok") -> Said:
    return Said("key", "?", text, parts or (TextPart(text),), status)


def claims(text: str) -> list[tuple[str, str, str]]:
    return [(one.subject, one.predicate, one.object) for one in parse(said(text)).claims]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The red cube is to the left of the blue ball and behind the green cone.",
         [("red cube", "left", "blue ball"), ("red cube", "behind", "green cone")]),
        ("Behind the sofa there is a lamp.", [("lamp", "behind", "sofa")]),
        ("On the right side of the table there is a cup.", [("cup", "right", "table")]),
        ("A man in a red shirt is standing in front of a car, and a dog sits to the right of the house.",
         [("man", "front", "car"), ("dog", "right", "house")]),
        ("On the left there is a red cube.", [("red cube", "camera_left", "")]),
        ("There is a small cone on the right side of the image.", [("small cone", "camera_right", "")]),
        ("The chair closest to the camera is brown.", [("chair", "camera_closest", "")]),
        ("The van is far away from the camera.", [("van", "camera_far", "")]),
        ("The cat is not behind the box.", []),
        ("He left the room. The right time.", []),
        ("Behind it is a tree.", []),
    ],
)  # fmt: skip
def test_statements(text, expected):
    assert claims(text) == expected


def test_claims_span_what_they_claim_and_carry_boxes():
    one, two = (0.1, 0.2, 0.3, 0.4), (0.5, 0.5, 0.6, 0.7)
    text = "Look: the car [0.1,0.2,0.3,0.4] is left of the van [0.5,0.5,0.6,0.7]."
    parts = (
        TextPart("Look: the car "),
        BoxPart(one),
        TextPart(" is left of the van "),
        BoxPart(two),
        TextPart("."),
    )
    (claim,) = parse(said(text, *parts)).claims
    assert claim.boxes == (one, two)
    assert text[claim.start : claim.end] == "the car [0.1,0.2,0.3,0.4] is left of the van"


def test_what_is_no_answer_is_not_kept():
    assert parse(said("a loop", status="repetition")).turns == ()
    assert parse(said("   ")).status == "empty"


@given(st.lists(st.sampled_from(["the cube", "a", "left of", "behind", "in front of", "on the right", ".",
                                 " and ", "is", "closest to the camera", "[0.1,0.2", "é", "\n"]),
                max_size=40))  # fmt: skip
def test_any_words_are_parsed(words):
    text = " ".join(words)
    for claim in parse(said(text)).claims:
        assert 0 <= claim.start < claim.end <= len(text)


def known(name: str, x: float, z: float) -> dict:
    return {
        "label": name.split()[-1],
        "name": name,
        "solid": box3d((x, 0, z), (0.5, 0.5, 0.5), ((1, 0, 0), (0, 1, 0), (0, 0, 1))),
    }


EVIDENCE = Evidence(
    objects=[known("red cube", -1, 3), known("blue cube", 1, 5), known("red ball", 1, 3)],
    all_objects=True,
    camera={"K": ((100, 0, 50), (0, 100, 50), (0, 0, 1)), "width": 100, "height": 100},
)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("The red cube is left of the blue cube.", "supported"),
        ("The red cube is right of the blue cube.", "contradicted"),
        ("The large red cube is left of the ball.", "supported"),
        ("A cube is behind the red ball.", "supported"),  # the blue one is
        ("The red cube is behind the red ball.", "unverified"),  # at the same depth
        ("The blue cube is in front of the ball.", "contradicted"),
        ("The cube is in front of the ball.", "unverified"),  # one is not, one is beside
        ("The green cube is in front of the ball.", "unverified"),  # there is none
        ("The blue cube is farthest from the camera.", "supported"),
        ("The red cube is farthest from the camera.", "contradicted"),
        ("The red cube is on the left.", "supported"),
        ("The red cube is close to the camera.", "unverified"),
    ],
)
def test_claims_are_checked(text, status):
    (claim,) = verify(parse(said(text)).claims, EVIDENCE)
    assert claim.status == status, claim


def test_boxes_alone_tell_left_but_not_depth():
    flat = Evidence(
        objects=[{"label": "dog", "box": (0.1, 0.1, 0.2, 0.2)}, {"label": "cat", "box": (0.6, 0.1, 0.8, 0.2)}]
    )
    for predicate, status in (
        ("left of", "supported"),
        ("right", "contradicted"),
        ("in front of", "unverified"),
    ):
        claim = Claim("relation", 0, 1, "unverified", subject="dog", predicate=predicate, object="cat")
        assert verify([claim], flat)[0].status == status


def test_other_claims_are_left_alone():
    claim = Claim("count", 0, 1, "unverified", subject="cube", value="2")
    assert verify([claim], EVIDENCE) == (claim,)


@pytest.fixture(scope="module")
def asked(world) -> list[tuple[Sample, object]]:
    builder = SpatialBuilder(SpatialConfig(data=world))
    samples = [one for one in builder.build("00000") if isinstance(one, Sample)]
    return [(sample, exchange) for sample in samples for exchange in exchanges_of(sample)]


def scored(asked, answer) -> dict[str, float]:
    rows = [Asked(s, e.question, e.answer, said(answer(e)), e.kind) for s, e in asked]
    return {name: sum(item.numerators) / sum(item.denominators) for name, item in score(rows).items()}


def test_right_answers_are_right(asked):
    assert set(scored(asked, lambda e: e.answer.text).values()) == {1.0}


def test_every_question_counts_once_in_all_in_its_relation_and_in_its_form(asked):
    measures = score([Asked(s, e.question, e.answer, said(e.answer.text), e.kind) for s, e in asked])
    counts = {name: sum(item.denominators) for name, item in measures.items()}
    assert next(iter(counts)) == "answers right" and counts["answers right"] == len(asked)
    assert sum(counts[relation.replace("_", " ")] for relation in RELATIONS) == len(asked)
    assert sum(count for name, count in counts.items() if name.startswith("form: ")) == len(asked)
    assert (
        0 < sum(count for name, count in counts.items() if name.endswith(", named")) == counts["form: name"]
    )


def test_the_other_side_is_wrong(asked):
    from vila2_spatial.mirror import mirrored_words

    values = scored(asked, lambda e: mirrored_words(e.answer.text))
    assert values["answers right"] < 0.95
    assert values["camera left"] < 0.5  # yes and no stay


def test_yes_to_everything_earns_half_of_yes_and_no_only(asked):
    assert scored(asked, lambda e: "yes")["answers right"] < 0.3
    assert scored(asked, lambda e: "")["answers right"] == 0.0


def test_both_words_are_no_answer(asked):
    choices = [(s, e) for s, e in asked if s.meta["facts"][e.number]["form"] == "choice" and e.kind == "left"]
    assert scored(choices, lambda e: "left or right")["answers right"] == 0.0


def test_the_same_relation_said_from_the_other_end_is_right(asked):
    for sample, exchange in asked:
        fact = sample.meta["facts"][exchange.number]
        if fact["form"] == "sentence" and fact["predicate"] == "left":
            one, other = (Evidence.of(sample).objects[fact[name]].called for name in ("subject", "anchor"))
            rows = [
                Asked(sample, exchange.question, exchange.answer, said(text))
                for text in (
                    f"The {other} is to the right of the {one}.",
                    f"The {other} is to the left of the {one}.",
                )
            ]
            assert score(rows)["answers right"].numerators == [1.0]
            return
    pytest.fail("no such question")


def test_a_box_is_right_from_half_on():
    evidence = EVIDENCE.to_meta()
    fact = {
        "form": "box",
        "predicate": "camera_left",
        "answer": 0,
        "margin": 0.2,
        "subject": 0,
        "label": "cube",
    }
    sample = Sample("k", (), (), {**evidence, "facts": [fact]})
    reference = Turn("assistant", (BoxPart((0.0, 0.0, 0.4, 0.4)),), branch=1)
    question = Turn("user", (TextPart("?"),), branch=1)
    for box, right in (((0.0, 0.0, 0.4, 0.3), 1.0), ((0.2, 0.0, 0.6, 0.4), 0.0)):
        values = score([Asked(sample, question, reference, said("[...]", BoxPart(box)))])
        assert values["form: box"].numerators == [right]
