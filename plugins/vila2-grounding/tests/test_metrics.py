"""Measures: what counts as found, and the properties of F1."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from vila2 import BoxPart, Sample, TextPart, assistant, user
from vila2.data.coordinates import CoordinateScheme
from vila2.plugin import Asked, Said

from vila2_grounding.metrics import f1_all, f1_loc, score

BOX = (0.0, 0.0, 0.4, 0.4)


def asked(reference: tuple, text: str, question: tuple = ("Where?",)) -> Asked:
    said = Said("k#0", "?", text, CoordinateScheme().to_parts(text) or (TextPart(text),))
    return Asked(Sample("k"), user(*question), assistant(*reference), said)


def value(items) -> float:
    return sum(items.numerators) / sum(items.denominators)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("[0,0,0.4,0.4]", 1.0),
        ("It is at [0,0,0.4,0.2].", 1.0),
        ("[0,0,0.4,0.19]", 0.0),
        ("[0.5,0.5,0.9,0.9] or [0,0,0.4,0.4]", 0.0),
        ("[0.4,0.4,0,0]", 0.0),
        ("left", 0.0),
    ],
)
def test_the_first_box_counts_from_half_an_overlap_on(text, right):
    found = score([asked((BoxPart(BOX),), text)])
    assert next(iter(found)) == "REC acc@0.5" and value(found["REC acc@0.5"]) == right


def test_a_narration_is_scored_by_phrase_and_place():
    reference = ("There is a red cube ", BoxPart(BOX), " and a ball ", BoxPart((0.5, 0.5, 0.9, 0.9)), ".")
    found = score([asked(reference, "The red cube [0,0,0.4,0.4], a cone [0.5,0.5,0.9,0.9]")])
    assert value(found["grounded F1"]) == 0.5
    assert value(found["localisation F1"]) == 1.0
    misplaced = score([asked(reference, "The red cube [0.5,0.5,0.9,0.9]")])
    assert value(misplaced["grounded F1"]) == 0.0 and value(misplaced["localisation F1"]) == 0.0
    assert "REC acc@0.5" not in found


def test_a_region_is_scored_by_its_phrase():
    question = ("What is at ", BoxPart(BOX), "?")
    assert value(score([asked(("a red cube",), "The red cube.", question)])["region phrase"]) == 1.0
    assert value(score([asked(("a red cube",), "a cube", question)])["region phrase"]) == 0.0


corner = st.floats(0, 0.5)
side = st.floats(0.01, 0.5)
box = st.tuples(corner, corner, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
located = st.lists(st.tuples(st.sampled_from(["cube", "ball", "cone"]), box), max_size=5)


@given(located, located)
def test_f1_is_a_share_and_does_not_depend_on_sides_or_order(said, truth):
    for measure in (f1_all, f1_loc):
        right, total = measure(said, truth)
        assert 0 <= right <= total
        assert (right, total) == measure(truth, said) == measure(said[::-1], truth)


@given(located, located)
def test_a_perfect_answer_has_one_and_more_boxes_never_help_it(truth, more):
    right, total = f1_all(truth, truth)
    assert right == total == 2 * len(truth)
    right, total = f1_all([*truth, *more], truth)
    assert right == 2 * len(truth) and total == 2 * len(truth) + len(more)
