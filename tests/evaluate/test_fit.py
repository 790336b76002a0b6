"""The fit of captions with people's."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from vila2.errors import DataError
from vila2.evaluate.measures.fit import FitScorer, stem

PEOPLE = [
    ["A kid rides a bike", "A child on a bicycle", "The child is riding"],
    ["A dog in the snow", "A puppy runs through snow", "dogs running"],
    ["A child eats", "A kid eating lunch", "The kid and his lunch"],
    ["Snow on a hill", "A man skis down the snowy hill", "A skier"],
]
TEXT = st.lists(
    st.sampled_from(["a", "dog", "kid", "child", "snow", "bike", "rides", "hill", "zebra", "the"]), max_size=8
).map(" ".join)


@pytest.mark.parametrize(
    ("word", "root"),
    [("dogs", "dog"), ("running", "run"), ("runs", "run"), ("riding", "rid"), ("ride", "rid"),
     ("puppies", "puppy"), ("watches", "watch"), ("grass", "grass"), ("dog's", "dog"), ("bus", "bus"),
     ("a", "a"), ("smiling", "smil"), ("smile", "smil")],
)  # fmt: skip
def test_words_lose_their_endings(word, root):
    assert stem(word) == root


def test_the_own_image_fits_best_and_another_one_hardly():
    scorer = FitScorer(PEOPLE)
    for own in PEOPLE:
        fits = [scorer.score(own[0], others) for others in PEOPLE]
        assert max(fits) == fits[PEOPLE.index(own)]


def test_a_word_that_people_use_of_the_same_images_counts_for_something():
    scorer = FitScorer(PEOPLE)
    assert scorer.words("A puppy", ["A dog"]) == scorer.words("A hill", ["A dog"]) == 0
    assert scorer.score("A puppy", ["A dog"]) > scorer.score("A hill", ["A dog"])


def test_neither_silence_nor_chatter_pays():
    scorer = FitScorer(PEOPLE)
    good = scorer.score("A dog runs in the snow", PEOPLE[1])
    assert scorer.score("", PEOPLE[1]) == 0
    assert scorer.score("A dog", PEOPLE[1]) < good
    assert scorer.score("A dog runs in the snow, a kid rides a bike, a skier eats lunch", PEOPLE[1]) < good


@given(TEXT, st.lists(TEXT, min_size=1, max_size=3))
def test_scores_are_shares_and_the_order_of_words_and_references_is_nothing(text, references):
    scorer = FitScorer(PEOPLE)
    score = scorer.score(text, references)
    assert 0 <= score <= 1 + 1e-9
    assert scorer.score(" ".join(text.split()[::-1]), references[::-1]) == pytest.approx(score)


def test_without_references_there_is_no_fit():
    with pytest.raises(DataError, match="no references"):
        FitScorer([])
    with pytest.raises(DataError, match="no references"):
        FitScorer(PEOPLE).score("a dog", [])
