"""Categories by rule, and the phrase that a box follows."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from vila2_grounding.phrases import category, definite, indefinite, lemma, normal, phrase_before, plural


@pytest.mark.parametrize(
    ("phrase", "head"),
    [
        ("a wire hanger", "hanger"),
        ("a wire hanger with a paper cover that reads we heart our customers", "hanger"),
        ("Three young men", "man"),
        ("a pair of brown dogs", "dog"),
        ("A group of people", "person"),
        ("the side of a building", "side"),
        ("his dog", "dog"),
        ("two", "two"),
        ("the man's dogs", "dog"),
        ("buses", "bus"),
        ("fruit dishes", "dish"),
        ("babies", "baby"),
        ("a grassy field", "field"),
        ("the glass", "glass"),
        ("sunglasses", "sunglasses"),
        ("a man wearing glasses", "man"),
        ("A t-shirt", "t-shirt"),
        (" ... ", ""),
    ],
)
def test_the_category_is_the_lemma_of_the_head(phrase, head):
    assert category(phrase) == head


@pytest.mark.parametrize(
    "noun", ["cube", "man", "bus", "box", "city", "toy", "sheep", "shoe", "watch", "knife", "lens"]
)
def test_a_plural_is_read_back(noun):
    assert lemma(plural(noun)) == noun


def test_phrases_that_differ_in_determiner_and_number_are_equal():
    assert normal("A red cube") == normal("the red cubes") == "red cube"
    assert normal("a red cube") != normal("a blue cube")


def test_names_in_sentences():
    assert indefinite("orange cube") == "an orange cube"
    assert indefinite("red cube", 2) == "two red cubes"
    assert indefinite("scissors") == "scissors"
    assert definite("A blond woman") == "the blond woman"
    assert definite("His dog") == "the dog"
    assert definite("red cube") == "the red cube"


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("A blond woman ", "A blond woman"),
        (" in a blue shirt ", "a blue shirt"),
        ("The image shows a red cube ", "a red cube"),
        ("red cubes, green balls ", "green balls"),
        ("He said: dogs", "dogs"),
        ("there is water ", "water"),
        (" and the ", "the"),
        ("a dog. ", None),
        ("  ", None),
    ],
)
def test_the_phrase_before_a_box(text, phrase):
    span = phrase_before(text, len(text))
    assert (text[slice(*span)] if span else None) == phrase


@given(st.text())
def test_no_text_is_too_odd(text):
    category(text), normal(text)
    span = phrase_before(text, len(text))
    assert span is None or (0 <= span[0] < span[1] <= len(text) and text[slice(*span)].strip())
