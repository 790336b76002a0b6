"""Loops in answers are found as a search of every place finds them."""

from __future__ import annotations

import re

from hypothesis import given, settings, strategies as st

from vila2.engine.marks import (
    CHARACTER_REPEATS,
    LONGEST_PHRASE,
    LOWEST_DISTINCT_4,
    PHRASE_REPEATS,
    RATIO_FROM_WORDS,
    Mark,
    _words,
    mark,
)
from vila2.engine.protocol import Answer

WORDS = st.lists(st.sampled_from(["a", "dog", "cat", "the", "red", "b"]), max_size=7)


def plain_phrase_loop(words: list[str]) -> str:
    for period in range(1, LONGEST_PHRASE + 1):
        for start in range(len(words) - period * PHRASE_REPEATS + 1):
            phrase = words[start : start + period]
            if words[start : start + period * PHRASE_REPEATS] == phrase * PHRASE_REPEATS:
                return f"{' '.join(phrase)!r} {PHRASE_REPEATS} times or more in succession"
    return ""


def plain_character_loop(text: str) -> str:
    found = re.search(rf"(\S{{1,12}}?)\1{{{CHARACTER_REPEATS - 1},}}", text)
    return f"{found[1]!r} {len(found[0]) // len(found[1])} times in succession" if found else ""


def plain_few_distinct(words: list[str]) -> str:
    fours = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    ratio = len(set(fours)) / len(fours)
    few = len(words) >= RATIO_FROM_WORDS and ratio < LOWEST_DISTINCT_4
    return f"only {ratio:.0%} of its sequences of four words are distinct" if few else ""


@settings(max_examples=400, deadline=None)
@given(st.lists(st.integers(0, 70), min_size=4, max_size=45), st.integers(1, 3), st.integers(0, 30))
def test_few_distinct_sequences_are_found_whatever_the_words(numbers, times, rest):
    words = [f"w{number}" for number in numbers * times + numbers[:rest]]
    found = mark(Answer(" ".join(words), "stop", len(words)))
    if found.detail.endswith("in succession"):  # a phrase of words is looked for first
        return
    assert found.detail == plain_few_distinct(words)


@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_plain_english_are_those_of_any_text(text):
    """A letter that is not ASCII at the end makes no difference to the words before it."""
    assert _words(f"{text} \u00e9") == [*_words(text), "\u00e9"]


@settings(max_examples=400, deadline=None)
@given(WORDS, WORDS, st.integers(1, 6), WORDS)
def test_a_phrase_that_repeats_is_found_wherever_it_stands(
    before: list[str], phrase: list[str], times: int, after: list[str]
) -> None:
    words = ["start", *before, *phrase * times, *after]
    found = mark(Answer(" ".join(words), "stop", len(words)))
    expected = plain_phrase_loop(words)
    assert (found == Mark("repetition", expected)) if expected else not found.detail.endswith("succession")


@settings(max_examples=400, deadline=None)
@given(
    st.text("ab! \n\u00a0", max_size=12),
    st.text("ab!\u3000 ", min_size=1, max_size=14),
    st.integers(1, 24),
    st.text("ab! \n", max_size=12),
)
def test_characters_that_repeat_are_found_wherever_they_stand(
    before: str, group: str, times: int, after: str
) -> None:
    text = f"one two {before}{group * times}{after} three"
    found = mark(Answer(text, "stop", 9))
    expected = plain_character_loop(text)
    if found.detail.endswith("or more in succession"):  # a phrase of words is looked for first
        return
    assert (found == Mark("repetition", expected)) if expected else found.status == "ok"
