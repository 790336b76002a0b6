"""Points in a merge: a point and the box around it are of one thing, whoever gives which."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from vila2.data.annotations import Annotation
from vila2.data.claims import Claim
from vila2.data.sample import assistant
from vila2.merge.judging import judged
from vila2.merge.known import Known, known_of
from vila2.merge.places import match

DOG = (0.2, 0.2, 0.6, 0.6)


def claim(kind="object", subject="dog", **more) -> Claim:
    return Claim(kind, 0, 1, "unverified", subject=subject, **more)


def known(*claims: Claim) -> Known:
    return known_of(claims, labels={"dog"}, found={"dog", "cat"})


def verdict(one: Claim, evidence: Known) -> str:
    return judged([one], evidence)[0].status


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((0.4, 0.4), "supported"),
        ((0.2, 0.6), "supported"),  # on the corner
        ((0.63, 0.4), "unverified"),  # just beside
        ((0.9, 0.4), "contradicted"),
        ((0.4, 0.05), "contradicted"),
    ],
)
def test_a_point_and_a_box_support_or_refute_each_other(point, expected):
    pointed, boxed = claim(points=(point,)), claim(boxes=(DOG,))
    assert verdict(pointed, known(boxed)) == expected
    assert verdict(boxed, known(pointed)) == expected


def test_one_thing_is_counted_once_and_points_of_one_answer_each():
    pointed = claim(points=((0.4, 0.4), (0.8, 0.8), (0.81, 0.8)))
    for claims in ([pointed, claim(boxes=(DOG,))], [claim(boxes=(DOG,)), pointed]):
        evidence = known(*claims)
        assert len(evidence.things) == 3
        assert verdict(claim("count", value="3"), evidence) == "supported"
        assert verdict(claim("count", value="2"), evidence) == "contradicted"
    assert len(known(claim(points=((0.4, 0.4),)), claim(points=((0.41, 0.4),))).things) == 1


def test_relations_hold_between_points_and_boxes():
    evidence = known(claim(boxes=(DOG,)), claim(subject="cat", points=((0.9, 0.7),)))
    left = claim("relation", predicate="left", object="cat")
    assert verdict(left, evidence) == "supported"
    assert verdict(claim("relation", predicate="right", object="cat"), evidence) == "contradicted"
    assert verdict(claim("relation", predicate="above", object="cat"), evidence) == "supported"
    ours = claim("relation", predicate="right", object="cat", points=((0.3, 0.3), (0.9, 0.7)))
    assert verdict(ours, evidence) == "contradicted"


UNIT = st.floats(0, 1)
BOXES = st.tuples(UNIT, UNIT, UNIT, UNIT).map(lambda b: (*map(min, b[:2], b[2:]), *map(max, b[:2], b[2:])))


@given(BOXES, BOXES | st.tuples(UNIT, UNIT), st.tuples(UNIT, UNIT))
def test_matching_has_no_order_and_a_point_in_a_box_is_on_it(box, other, share):
    assert match(box, other) == match(other, box)
    inside = tuple(low + (high - low) * part for low, high, part in zip(box[:2], box[2:], share, strict=True))
    assert match(inside, box) == "same"


def test_points_are_kept_in_a_layer_and_claims_without_them_are_written_as_before():
    pointed, plain = claim(points=((0.5, 0.25),)), claim(boxes=(DOG,))
    row = Annotation("k", "?", "a dog", "ok", turns=(assistant("a dog"),), claims=(pointed, plain))
    data = row.to_json()
    assert Annotation.from_json(data) == row
    assert "points" in data["claims"][0] and "points" not in data["claims"][1]
