"""Short answers."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from vila2.evaluate.measures.answers import exact_match, normalize_answer, yes_no


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The red cube.", "red cube"),
        ("TWO", "2"),
        ("none", "0"),
        ("1,000 people", "1000 people"),
        ("3.5", "3.5"),
        ("it's  a\ndog!", "it's dog"),
        ("dont", "don't"),
        ("black/white", "black white"),
        ("U.S.", "us"),
        ("", ""),
    ],
)
def test_answers_are_normalized_as_in_vqa(text: str, normal: str) -> None:
    assert normalize_answer(text) == normal


@given(st.text(max_size=40))
def test_normalizing_twice_changes_nothing_more(text: str) -> None:
    assert normalize_answer(normalize_answer(text)) == normalize_answer(text)
    assert exact_match(text, text)


def test_exact_match_ignores_form_only() -> None:
    assert exact_match("A dog.", "dog")
    assert exact_match("two", "2")
    assert not exact_match("red cube", "cube")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Yes.", "yes"),
        ("yes, there is a dog", "yes"),
        ("**Yes**", "yes"),
        ("True", "yes"),
        ("The statement is true.", "yes"),
        ("That's correct.", "yes"),
        ("Of course.", "yes"),
        ("Right.", "yes"),
        ("There is a red cube.", "yes"),
        ("No", "no"),
        ("no, there is none", "no"),
        ("FALSE.", "no"),
        ("That is incorrect.", "no"),
        ("It's not true.", "no"),
        ("Not really", "no"),
        ("Certainly not.", "no"),
        ("There is no red cube.", "no"),
        ("There isn’t one", "no"),
        ("It is not red", "no"),
        ("The image does not show a dog.", "no"),
        ("I don't see a dog.", "no"),
    ],
)
def test_yes_and_no_are_read_from_the_opening(text: str, said: str) -> None:
    assert yes_no(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Nobody knows",
        "Yes or no",
        "yes/no",
        "A yes or no answer",
        "I'm sorry, I can't help with that.",
        "I cannot tell from this image.",
        "There is no image provided.",
        "Not sure.",
        "It's not clear.",
        "No idea!",
        "Maybe.",
        "Right now the street is empty.",
        "The image shows a dog.",
        "Nothing",
        "notable things are there",
    ],
)
def test_what_says_neither_is_neither_and_never_no(text: str) -> None:
    assert yes_no(text) is None
