"""Measures of text: tokens, distinct n-grams, CIDEr-D."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from vila2.errors import DataError
from vila2.evaluate.measures.text import cider, distinct_n, tokens

WORDS = ["a", "dog", "cat", "runs", "sits", "on", "the", "grass", "sofa", "red", "ball", "with", "two"]
SENTENCE = st.lists(st.sampled_from(WORDS), max_size=15).map(" ".join)


def test_distinct_n_counts_over_the_whole_corpus() -> None:
    assert distinct_n(["the cat the cat"], 1) == 0.5
    assert distinct_n(["the cat", "The cat."], 2) == 0.5
    assert distinct_n(["cat"], 2) == 0.0


def test_tokens_are_lowercase_words_without_punctuation() -> None:
    assert tokens("A dog's ball, two-tone; 3 Éclairs!") == [
        "a",
        "dog's",
        "ball",
        "two",
        "tone",
        "3",
        "éclairs",
    ]


def test_cider_of_hand_computed_items() -> None:
    references = [["red dog"], ["blue cat"]]
    # Both have one bigram and two words; of four n-gram lengths two exist and match wholly.
    assert cider(["red dog", "blue cat"], references) == pytest.approx([5.0, 5.0])
    # "red" alone: cosine 1 * ln2 * ln2 / (ln2 * sqrt2 ln2) at n = 1, and one bigram less.
    expected = 10 * (1 / math.sqrt(2)) / 4 * math.exp(-1 / 72)
    assert cider(["red", "green cow"], references) == pytest.approx([expected, 0.0])


def test_cider_clips_repeated_words() -> None:
    references = [["red dog runs"], ["blue cat sits"]]
    once, often = cider(["red dog runs", ""], references)[0], cider(["red red red", ""], references)[0]
    assert often < once / 2


def test_a_word_that_all_references_share_counts_nothing() -> None:
    assert cider(["the", "the"], [["the dog"], ["the cat"]]) == [0.0, 0.0]


@given(st.lists(st.tuples(SENTENCE, st.lists(SENTENCE, min_size=1, max_size=5)), min_size=1, max_size=8))
def test_cider_equals_pycocoevalcap(items) -> None:
    scorer = pytest.importorskip("pycocoevalcap.cider.cider_scorer")
    theirs = scorer.CiderScorer()
    for candidate, references in items:
        theirs += (candidate, references)
    if not any(text for _, references in items for text in references):
        return  # it cannot take a corpus without any word
    _, expected = theirs.compute_score()
    texts, references = [list(column) for column in zip(*items, strict=True)]
    assert cider(texts, references) == pytest.approx(list(expected), abs=1e-6)


def test_items_that_do_not_fit_are_named() -> None:
    with pytest.raises(DataError, match="2 candidates but 1 sets"):
        cider(["a", "b"], [["a"]])
    with pytest.raises(DataError, match="item 1 has no references"):
        cider(["a", "b"], [["a"], []])
