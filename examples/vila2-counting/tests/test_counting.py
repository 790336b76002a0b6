"""Every check that a specialist must pass, and what counting must do besides."""

import pytest
from vila2_counting.answers import parse, verify
from vila2_counting.numbers import listing, phrase, plural, read_counts, singular

from vila2 import Claim, Evidence
from vila2.plugin import Said
from vila2.testing import SpecialistConformance


class TestCounting(SpecialistConformance):
    name = "counting"


@pytest.mark.parametrize("kind", ["cube", "ball", "box", "bus", "city", "watch", "toy"])
def test_a_plural_is_read_back(kind):
    assert singular(plural(kind)) == kind


@pytest.mark.parametrize("number", [0, 1, 2, 10, 11, 999])
def test_a_count_is_read_back(number):
    assert [(one.kind, one.number) for one in read_counts(phrase("fire truck", number))] == [
        ("fire truck", number)
    ]


def test_a_listing_is_read_back():
    counts = {"ball": 1, "cube": 2, "cone": 3}
    assert {one.kind: one.number for one in read_counts(f"There are {listing(counts)}.")} == counts


def test_claims_span_what_they_claim():
    text = "There are two cubes and one ball."
    claims = parse(Said("k", "?", text, ())).claims
    assert [text[claim.start : claim.end] for claim in claims] == ["two cubes", "one ball"]


def claim(kind: str, number: int) -> Claim:
    return Claim("count", 0, 1, "unverified", subject=kind, value=str(number))


@pytest.mark.parametrize(
    ("all_objects", "number", "status"),
    [(True, 2, "supported"), (True, 3, "contradicted"), (True, 1, "contradicted"),
     (False, 2, "unverified"), (False, 3, "unverified"), (False, 1, "contradicted")],
)  # fmt: skip
def test_a_count_is_checked_against_the_things_that_are_known(all_objects, number, status):
    evidence = Evidence(objects=[{"label": "cube"}] * 2, all_objects=all_objects, labels=("cube",))
    assert verify([claim("cube", number)], evidence)[0].status == status
