"""Both of the paper's filters, at their edges."""

from __future__ import annotations

from hypothesis import given, strategies as st
from vila2.data.boxes import area

from vila2_grounding.filters import filtered
from vila2_grounding.grounded import Grounded, Phrase


def grounded(*phrases: tuple[str, tuple]) -> Grounded:
    made = tuple(Phrase(0, 1, boxes, category) for category, boxes in phrases)
    return Grounded("k", b"", "x", made)


def boxes(count: int) -> tuple:
    return tuple((n / 10, 0.0, n / 10 + 0.05, 0.1) for n in range(count))


def reasons(refused) -> list[str]:
    return [one.reason for one in refused]


def test_a_box_over_seventy_percent_is_dropped_and_one_of_exactly_that_stays():
    left, refused = filtered(grounded(("dog", ((0.1, 0, 0.8, 1), (0, 0, 1, 0.71)))))
    assert left.phrases[0].boxes == ((0.1, 0, 0.8, 1),)
    assert reasons(refused) == ["large-box"]


def test_an_image_without_a_box_is_dropped():
    left, refused = filtered(grounded(("dog", ((0, 0, 1, 1),))))
    assert left is None and reasons(refused) == ["large-box", "no-box"]


def test_three_of_a_category_stay_and_four_do_not():
    assert filtered(grounded(("dog", boxes(3)), ("cat", boxes(3))))[0] is not None
    assert reasons(filtered(grounded(("dog", boxes(4))))[1]) == ["crowded"]
    assert filtered(grounded(("dog", boxes(3)), ("dog", ((0.5, 0.5, 0.6, 0.6),))))[0] is None


def test_large_boxes_are_no_instances_and_a_box_named_twice_is_one():
    assert filtered(grounded(("dog", (*boxes(3), (0, 0, 1, 1)))))[0] is not None
    assert filtered(grounded(("dog", boxes(3)), ("dog", boxes(2))))[0] is not None


def test_a_box_that_no_coordinate_can_tell_is_dropped():
    assert reasons(filtered(grounded(("dog", (*boxes(1), (0.5, 0.5, 0.5005, 0.9)))))[1]) == ["tiny-box"]


unit = st.floats(0, 1)
box = st.tuples(unit, unit, unit, unit).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)


@given(
    st.lists(
        st.tuples(st.sampled_from(["dog", "cat"]), st.lists(box, min_size=1, max_size=4).map(tuple)),
        max_size=4,
    )
)
def test_what_is_left_keeps_to_both_rules_and_nothing_vanishes(phrases):
    left, refused = filtered(grounded(*phrases))
    if left is None:
        assert reasons(refused)[-1] in ("no-box", "crowded")
        return
    kept = {box for phrase in left.phrases for box in phrase.boxes}
    assert all(area(one) <= 0.7 + 1e-9 for one in kept)
    for name in ("dog", "cat"):
        assert len({box for phrase in left.phrases if phrase.category == name for box in phrase.boxes}) <= 3
    assert len({box for _, own in phrases for box in own}) == len(kept) + len(refused)
