"""Marks: which answers are usable captions."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from vila2.data.layers import STATUSES
from vila2.engine.marks import mark
from vila2.engine.protocol import Answer

REAL = Path(os.environ.get("VILA2_REALDATA", Path(__file__).parents[3] / "shared/realdata"))
WORD = st.text("abcdefgh", min_size=1, max_size=5)
CAPTION = "A dog runs across the beach while two children throw a red ball into the waves behind it."


def status(text: str, finish: str = "stop") -> str:
    return mark(Answer(text, finish, len(text.split()))).status


@pytest.mark.parametrize("text", ["", "  \n", "...", "!!", "-", "___"])
def test_an_answer_without_a_word_is_empty(text: str) -> None:
    assert status(text) == "empty"
    assert status(text, "length") == "empty"


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I cannot describe this image.",
        "I’m sorry, I can't help with that.",
        "Sorry, but I can't see anything.",
        "I cannot identify people in images.",
        "As an AI language model, I do not have eyes.",
        "As an assistant, I can't see pictures.",
        "Unfortunately, I am unable to view the image.",
        "I apologize, but no image was given.",
        "There is no image provided, please upload one.",
        "Please provide the image you want described.",
        '"I am unable to fulfil this request."',
        "We cannot help with that.",
        "We can't see any image here.",
        "We are unable to see the attached picture.",
        "As an assistant I cannot see pictures.",
        "As an assistant that reads text only, my answer is a guess.",
    ],
)
def test_refusals_are_told_by_their_opening(text: str) -> None:
    assert status(text) == "refusal"


@pytest.mark.parametrize(
    "text",
    [
        "A sign on the door reads: I'm sorry, we are closed.",
        "I can see a man and a dog.",
        "An artist paints a mural.",
        "There is no imagery on the wall, only bare brick.",
        "Asian food lies on a plate.",
        "We can't see the man's face, but he wears a hat.",
        "As an assistant coach, a man stands at the edge of the field.",
    ],
)
def test_captions_that_resemble_refusals_are_kept(text: str) -> None:
    assert status(text) == "ok"


@given(
    before=st.lists(WORD, max_size=30),
    phrase=st.lists(WORD, min_size=1, max_size=12),
    repeats=st.integers(4, 9),
    after=st.lists(WORD, max_size=30),
    comma=st.booleans(),
)
def test_a_phrase_four_times_in_succession_is_found_anywhere(before, phrase, repeats, after, comma) -> None:
    one = " ".join(phrase) + ("," if comma else "")
    text = " ".join([*before, *[one] * repeats, *after])
    assert status(text) == "repetition"
    assert status(text, "length") == "repetition"


@given(phrase=st.lists(WORD, min_size=13, max_size=40, unique=True), repeats=st.integers(4, 8))
def test_long_sentences_that_come_again_and_again_are_found(phrase, repeats) -> None:
    assert status(CAPTION + " " + ". ".join([" ".join(phrase)] * repeats)) == "repetition"


@given(unit=st.text("ab!-?=", min_size=1, max_size=12), repeats=st.integers(20, 60))
def test_character_loops_are_found(unit: str, repeats: int) -> None:
    assert status(f"A dog on {unit * repeats} grass") == "repetition"


@given(words=st.lists(WORD, min_size=1, max_size=60, unique=True))
def test_words_that_never_repeat_are_no_loop(words: list[str]) -> None:
    assert status(" ".join(words)) == "ok"


def test_three_times_is_emphasis() -> None:
    assert status("A very very very tall tower.") == "ok"


def test_a_loop_in_a_language_without_spaces_is_found() -> None:
    assert status("图中有一只狗" + "在草地上" * 4) == "repetition"


def test_a_cut_caption_is_truncated_and_its_detail_says_where() -> None:
    assert mark(Answer(CAPTION, "length", 64)) == ("truncated", "cut after 64 tokens")
    assert mark(Answer(CAPTION, "stop", 64)) == ("ok", "")


def test_the_detail_names_the_repeated_phrase() -> None:
    assert "'the red cube'" in mark(Answer("I see " + "the red cube, " * 5, "length", 30)).detail


@given(st.text(), st.sampled_from(["stop", "length"]))
def test_any_text_gets_a_known_status(text: str, finish: str) -> None:
    assert status(text, finish) in STATUSES


def test_human_captions_are_never_marked() -> None:
    file = REAL / "flickr8k/train.jsonl"
    if not file.exists():
        pytest.skip(f"no Flickr8k at {file.parent}; set VILA2_REALDATA")
    rows = [json.loads(line)["captions"] for line in file.open()]
    texts = [text for captions in rows for text in captions] + [" ".join(captions) for captions in rows]
    assert [text for text in texts if status(text) != "ok"] == []


def test_captions_of_the_miniature_world_are_never_marked() -> None:
    from vila2.sources.world import detailed_caption, generator, sample_scene

    texts = [
        detailed_caption(sample_scene("test", 0, number), generator("marks", number)) for number in range(500)
    ]
    assert [text for text in texts if status(text) != "ok"] == []
