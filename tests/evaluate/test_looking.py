"""Whether captions look at their images."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from vila2.data.sample import Sample
from vila2.errors import DataError
from vila2.evaluate.kinds.captions import score_captions
from vila2.evaluate.measures.looking import confirmed_words, content_words, told_apart

WORDS = ["dog", "boy", "girl", "runs", "jumps", "red", "ball", "grass", "snow", "water", "two", "bike"]
CAPTION = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
PEOPLE = [
    ["A dog runs .", "a brown dog"],
    ["Two boys play in the snow .", "boys"],
    ["A woman on a bike", "A woman rides a bike"],
]


def test_function_words_do_not_count():
    assert content_words("There is a dog in the picture, and THE dog's tail.") == {"dog", "dog's", "tail"}


def test_words_are_confirmed_by_anyone_who_described_the_image():
    assert confirmed_words("A brown cat runs, runs!", PEOPLE[0]) == (2, 3)
    assert confirmed_words("It is.", PEOPLE[0]) == (0, 0)


def test_captions_that_look_are_told_apart_and_swapped_ones_are_not():
    texts = ["the dog is brown", "boys in snow", "a bike"]
    assert told_apart(texts, PEOPLE) == [1.0, 1.0, 1.0]
    assert told_apart(texts[1:] + texts[:1], PEOPLE) == [0.25, 0.25, 0.25]


@given(CAPTION, st.lists(st.lists(CAPTION, min_size=1, max_size=3), min_size=2, max_size=8))
def test_one_sentence_for_every_image_is_chance(text, references):
    scores = told_apart([text] * len(references), references)
    assert sum(scores) / len(scores) == pytest.approx(0.5)


@given(st.lists(st.tuples(CAPTION, st.lists(CAPTION, min_size=1, max_size=3)), min_size=2, max_size=8))
def test_the_order_of_the_images_changes_nothing(items):
    shuffled = list(items)
    random.Random(0).shuffle(shuffled)
    one = sorted(told_apart(*map(list, zip(*items, strict=True))))
    assert one == sorted(told_apart(*map(list, zip(*shuffled, strict=True))))
    assert all(0 <= score <= 1 for score in one)


def test_fewer_than_two_images_cannot_be_told_apart():
    with pytest.raises(DataError, match="two images"):
        told_apart(["a dog"], [["a dog"]])


def test_a_blind_model_is_seen_in_the_scores():
    samples = [Sample(str(n), meta={"references": own}) for n, own in enumerate(PEOPLE)]
    blind = score_captions(samples, ["A man in a red shirt."] * 3)
    looking = score_captions(samples, [own[0] for own in PEOPLE])
    mean = {
        name: (sum(blind[name].numerators) / 3, sum(looking[name].numerators) / 3)
        for name in ("captions said of one image only", "own image told from others")
    }
    assert mean == {
        "captions said of one image only": (0, 1),
        "own image told from others": (0.5, 1),
    }
    assert sum(blind["content words people confirm"].numerators) == 0
