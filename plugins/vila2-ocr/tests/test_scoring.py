"""ANLS, relaxed accuracy and containment, with their traps."""

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from vila2_ocr.scoring import anls, bare, contains, distance, number_of, relaxed_match, similarity

TEXT = st.text(alphabet="ab cd", max_size=12)


@given(TEXT, TEXT, TEXT)
def test_the_distance_is_a_metric(one, two, three):
    assert distance(one, two) == distance(two, one)
    assert (distance(one, two) == 0) == (one == two)
    assert distance(one, three) <= distance(one, two) + distance(two, three)
    assert abs(len(one) - len(two)) <= distance(one, two) <= max(len(one), len(two))


@given(TEXT, st.integers(0, 12), st.sampled_from("xyz"))
def test_one_letter_more_is_one_step(text, place, letter):
    assert distance(text, text[:place] + letter + text[place:]) == 1


@given(st.text(max_size=20), st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_anls_is_a_share_and_more_references_never_lower_it(answer, references):
    scores = [anls(answer, references[: number + 1]) for number in range(len(references))]
    assert all(score == 0 or 0.5 <= score <= 1 for score in scores)
    assert scores == sorted(scores)


@given(st.text(max_size=20))
def test_a_right_answer_scores_one_whatever_its_case_and_spaces(text):
    assert anls(f"  {text.upper().lower()}  ", [text.upper().lower().replace(" ", "  ")]) == 1


@pytest.mark.parametrize(
    ("answer", "references", "score"),
    [("Johor Bahru", ["johor  bahru"], 1.0), ("johor", ["johar"], 0.8), ("ab", ["ax"], 0.5),
     ("abc", ["axy"], 0.0), ("", ["x"], 0.0), ("nine", ["ten", "nine"], 1.0)],
)  # fmt: skip
def test_anls(answer, references, score):
    assert anls(answer, references) == pytest.approx(score)


def test_similarity_of_nothing_with_nothing():
    assert similarity("", " ") == 1


@pytest.mark.parametrize(
    ("text", "number"),
    [("1,000", "1000"), ("50%", "0.5"), ("-3.5", "-3.5"), ("$8.20", "8.20"), ("RM 9.00", "9.00"), ("0", "0"),
     (".5", "0.5"), ("12.", "12"), ("1,23", None), ("1.234,56", None), ("12 km", None), ("", None),
     ("-", None), ("٣", None), ("2018-05-01", None)],
)  # fmt: skip
def test_what_is_a_number(text, number):
    assert number_of(text) == (None if number is None else Decimal(number))


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [("105", "100", True), ("105.1", "100", False), ("95", "100", True), ("-100", "100", False),
     ("0", "0", True), ("0.001", "0", False), ("50%", "0.5", True), ("0.5", "50%", True), ("50", "50%", True),
     ("50%", "50", True), ("5000%", "0.5", False), ("1,000", "1000", True), ("1000.", "1,000", True),
     ("-96", "-100", True), ("Yes.", "yes", True), ("red", "blue", False), ("about 5", "5", False)],
)  # fmt: skip
def test_relaxed_accuracy(answer, reference, right):
    assert relaxed_match(answer, reference) is right


@given(st.integers(1, 10**6), st.floats(-0.049, 0.049))
def test_within_five_per_cent_is_right(gold, share):
    assert relaxed_match(f"{gold * (1 + share):.6f}", str(gold))


def test_containment():
    assert contains("The total is 9.00 RM", ["9.00"])
    assert not contains("The total is 9.00", ["8.00", "10"])


def test_quotes_and_a_full_stop_do_not_count():
    assert bare(' "Mop." ') == bare("mop") == bare("“Mop”.")
