"""The rule that turns intervals into words."""

import pytest
from hypothesis import given, strategies as st

from vila2.errors import DataError
from vila2.evaluate.measures.intervals import Interval
from vila2.evaluate.measures.items import Items
from vila2.studies import STUDIES
from vila2.studies.expectations import UNSEEN, judge, outcomes, overall, sentence, told_difference
from vila2.studies.study import Arm, Cell, Expectation, Study

NUMBER = st.floats(-1, 1)
ABOVE = Expectation(Cell("a", "m"), Cell("b", "m"))
EQUAL = Expectation(Cell("a", "m"), Cell("b", "m"), "equal", margin=0.1)
STUDY = Study("s", "t", "1", "f", (Arm("a", "first"), Arm("b", "second")), {"m": "measure"}, (ABOVE,))


@st.composite
def intervals(draw) -> Interval:
    low, value, high = sorted(draw(st.lists(NUMBER, min_size=3, max_size=3)))
    return Interval(value, low, high)


@given(intervals())
def test_above_is_settled_only_by_an_interval_clear_of_zero(found):
    answer = judge(ABOVE, found)
    assert (answer == UNSEEN) == (found.low <= 0 <= found.high)
    assert answer != "agrees" or found.value > 0
    # The contrary expectation gets the contrary answer.
    turned = {"agrees": "disagrees", "disagrees": "agrees", UNSEEN: UNSEEN}
    assert judge(ABOVE, Interval(-found.value, -found.high, -found.low)) == turned[answer]


@given(intervals())
def test_equal_needs_an_interval_within_the_margin(found):
    answer = judge(EQUAL, found)
    assert (answer == "agrees") == all(abs(end) < 0.1 for end in (found.low, found.high))
    assert answer != "disagrees" or abs(found.value) > 0.1
    # No effect that cannot be told from zero is called a difference.
    assert answer != "disagrees" or not found.low <= 0 <= found.high


@given(st.lists(st.sampled_from(["agrees", "disagrees", UNSEEN]), min_size=1, max_size=6))
def test_one_word_for_all_hides_no_disagreement(answers):
    word = overall(answers)
    assert ("disagrees" in answers) == word.startswith("disagrees")
    assert (word == "agrees") == (set(answers) == {"agrees"})
    assert (word == UNSEEN) == (set(answers) == {UNSEEN})


@pytest.mark.parametrize(
    ("low", "high", "opening"),
    [
        (0.1, 0.9, "Agrees: 1 of 1 expectations as found."),
        (
            0.9,
            0.1,
            "Disagrees: 0 of 1 expectations as found; not as found: “second” above “first” in measure (−80.0",
        ),
        (0.5, 0.5, "Cannot be seen at this size: none of 1 expectations is settled."),
    ],
)
def test_the_sentence_follows_the_numbers(low, high, opening):
    keys = [str(n) for n in range(200)]

    def items(share: float) -> Items:
        return Items.of_means(keys, [float(n % 10 < 10 * share) for n in range(200)])

    found = outcomes(STUDY, {Cell("a", "m"): [items(low)], Cell("b", "m"): [items(high)]}, seed=0)
    assert sentence(STUDY, found).startswith(opening)


@pytest.mark.parametrize(("count", "value"), [(200, 0.0), (10, 1.0)])
def test_two_arms_that_fail_alike_or_are_hardly_measured_are_not_called_equal(count, value):
    items = Items.of_means([str(n) for n in range(count)], [value] * count)
    study = Study("s", "t", "1", "f", STUDY.arms, STUDY.measures, (EQUAL,))
    (outcome,) = outcomes(study, {Cell("a", "m"): [items], Cell("b", "m"): [items]}, seed=0)
    assert outcome.answer == UNSEEN


def test_what_one_arm_gave_nothing_to_measure_of_is_not_a_difference():
    keys = [str(n) for n in range(200)]
    silent, right = Items(keys, [0.0] * 200, [0.0] * 200), Items.of_means(keys, [1.0] * 200)
    for seeds in (1, 2):
        cells = {Cell("a", "m"): [silent] * seeds, Cell("b", "m"): [right] * seeds}
        (outcome,) = outcomes(STUDY, cells, seed=0)
        assert (outcome.answer, told_difference(outcome)) == (UNSEEN, "nothing to measure")


def test_other_items_are_not_compared():
    one, other = Items.of_means(["x"], [1.0]), Items.of_means(["y"], [1.0])
    with pytest.raises(DataError, match="different items"):
        outcomes(STUDY, {Cell("a", "m"): [one], Cell("b", "m"): [other]}, seed=0)


def test_no_study_names_a_cell_that_it_lacks():
    with pytest.raises(ValueError, match="no cell"):
        Study("s", "t", "1", "f", (Arm("a", "first"),), {"m": "measure"}, (ABOVE,))
    assert {"freeze", "projector", "interleaved", "joint-sft", "lora", "visual-expert", "resolution"} < set(
        STUDIES
    )
