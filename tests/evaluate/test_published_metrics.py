"""The metrics of the published benchmarks; expected values are those of lmms-eval 0.7.3's functions."""

from __future__ import annotations

import pytest

from vila2.evaluate.measures.option_reading import (
    first_letter,
    mmbench_option,
    mmmu_open_is_right,
    mmmu_option,
    scienceqa_option,
)
from vila2.evaluate.measures.vqa_accuracy import normalize_raw, normalize_vqa, vqa_accuracy

CHOICES = {"A": "a graph", "B": "a tree", "C": "the dog", "D": "7"}


@pytest.mark.parametrize(
    ("said", "normal", "raw"),
    [
        ("Two.", "2", "2"),
        (".5", ".5", ".5"),
        ("3.50", "3.50", "3.50"),
        ("U.S.", "us", "us"),
        ("10:30", "10:30", "10:30"),
        ("1,000", "1000", "1000"),
        ("1,000 and-so", "1000 and so", "1000 andso"),
        ("T-shirt", "t shirt", "t shirt"),
        ("a - b", "b", "b"),
        ("the dog's bowl", "dog 's bowl", "dog's bowl"),
        ("Dont know", "don't know", "don't know"),
        ("couldntve", "couldntve", "couldntve"),
        ("couldnt've", "couldn't've", "couldn't've"),
        ("theyd", "they'd", "they'd"),
        ("somebody'd", "somebodyd", "somebodyd"),
        ("ice-cream, cold", "ice cream cold", "ice cream cold"),
        ("cats,dogs", "catsdogs", "cats dogs"),
        ("none", "0", "0"),
        ("yes\n", "yes", "yes"),
        ("50%", "50%", "50%"),
        ("“red”", "“red”", "“red”"),
        ("", "", ""),
    ],
)
def test_answers_are_normalized_as_the_servers_do(said: str, normal: str, raw: str):
    assert normalize_vqa(said) == normal and normalize_raw(said) == raw


@pytest.mark.parametrize(
    ("said", "people", "accuracy"),
    [
        ("red", ["red"] * 10, 1.0),
        ("red", ["red"] * 3 + ["blue"] * 7, 0.9),
        ("Red.", ["red"] * 2 + ["blue"] * 8, 0.6),
        ("red", ["red"] + ["blue"] * 9, 0.3),
        ("green", ["red"] * 10, 0.0),
        ("two", ["2"] * 4 + ["two"] * 6, 1.0),
    ],
)
def test_the_accuracy_of_vqa_leaves_each_person_out(said: str, people: list[str], accuracy: float):
    assert vqa_accuracy(said, people) == pytest.approx(accuracy)
    assert vqa_accuracy(said, people, raw=True) == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("said", "mmbench", "mmmu"),
    [
        ("A", "A", "A"),
        ("(B)", "B", "B"),
        ("The answer is C.", "C", "C"),
        ("A man walks B", None, "B"),  # MMBench: A is an article, and then no letter is alone
        ("B or C", None, "C"),
        ("it shows a tree in the park", "B", "B"),
        ("a tree", "B", None),  # MMMU looks for texts in long answers alone
        ("I do not know", None, None),  # MMMU's authors choose one by chance here
        ("D) 7", "D", None),
        ("", None, None),
    ],
)
def test_options_are_read_as_the_authors_read_them(said: str, mmbench: str | None, mmmu: str | None):
    assert mmbench_option(said, CHOICES) == mmbench and mmmu_option(said, CHOICES) == mmmu


def test_letters_of_scienceqa_and_seed():
    assert [scienceqa_option(text) for text in ("b", "B. pull", "b. pull", "(B)", "")] == [
        "B",
        "B",
        None,
        None,
        None,
    ]
    assert [first_letter(text) for text in (" b", "Because", "")] == ["B", "B", None]


@pytest.mark.parametrize(
    ("said", "answer", "right"),
    [
        ("So the sum is 12.5", "12.50", True),
        ("12.5 cats", "12.5", True),
        ("x = 1,234", "1234", True),
        ("The final answer is dog", "dog", True),
        ("It could be a cat", "dog", False),
        ("x", "x", True),
        ("xy", "x", False),  # a single letter counts beside a space alone
        ("is x y", "x", True),
        ("3e5", "300000", True),
    ],
)
def test_open_answers_of_mmmu(said: str, answer: str, right: bool):
    assert mmmu_open_is_right(said, [answer]) is right
