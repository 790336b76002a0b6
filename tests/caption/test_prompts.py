"""Prompts: the paper's words, and a choice that is random over images and fixed for each."""

from __future__ import annotations

from collections import Counter

import pytest

from vila2.caption.prompts import DEFAULT_PROMPTS, PROMPTS, choose_prompt, find_prompt
from vila2.errors import RecipeError


def test_the_papers_prompts_stand_word_for_word() -> None:
    assert PROMPTS["simple"] == "Describe the image briefly."
    assert PROMPTS["long-v1"] == "Describe the image in details."
    assert PROMPTS["long-v2"] == "Elaborate on the visual and narrative elements of the image in detail."
    assert PROMPTS["long-v3"] == (
        "Instead of describing the imaginary content, only describing the content one can determine "
        "confidently from the image. Do not describe the contents by itemizing them in list form. "
        "Minimize aesthetic descriptions as much as possible."
    )
    assert tuple(DEFAULT_PROMPTS) == ("long-v1", "long-v2", "long-v3")


def test_each_prompt_gets_about_its_share_and_each_image_always_the_same() -> None:
    keys = [f"{number:06d}" for number in range(3000)]
    chosen = [choose_prompt(DEFAULT_PROMPTS, key, seed=1).name for key in keys]
    assert chosen == [choose_prompt(DEFAULT_PROMPTS, key, seed=1).name for key in keys]
    assert all(900 < count < 1100 for count in Counter(chosen).values())
    assert chosen != [choose_prompt(DEFAULT_PROMPTS, key, seed=2).name for key in keys]


def test_the_choice_is_the_same_on_every_machine() -> None:
    names = [choose_prompt(DEFAULT_PROMPTS, key, seed=0).name for key in ("a", "b", "c", "000017")]
    assert names == ["long-v1", "long-v1", "long-v1", "long-v1"]


def test_a_text_may_be_given_in_place_of_a_name() -> None:
    prompt = choose_prompt(["Name every animal."], "key", seed=0)
    assert prompt.text == prompt.name == "Name every animal."


def test_a_slip_is_named_with_the_nearest_name() -> None:
    with pytest.raises(RecipeError, match="did you mean 'long-v2'"):
        find_prompt("longv2")
    with pytest.raises(RecipeError, match="no prompts"):
        choose_prompt([], "key", seed=0)
