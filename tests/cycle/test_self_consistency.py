"""A caption that contradicts itself is seen without any truth."""

from __future__ import annotations

import pytest

from vila2.claims.self_consistency import contradiction


@pytest.mark.parametrize(
    "text",
    [
        "There is a small red cube. A blue ball is behind the red cube. A large red cube is on the left.",
        "A red cube stands here. A red ball is in front of it.",
        "A dog runs. The dog is brown. Another dog sleeps. There are two dogs.",
        "We see two objects. There is a cube and a ball. The cube is left of the ball.",
        "Three people sit at a table.",
        "There are four objects.",
        "There are four objects: two cubes, a ball and a cone.",
        "There are three objects: a cube, a ball and another cube.",
        "There are three objects. A red cube, a ball and a blue cube. There are two cubes.",
        "There are two objects. There is a cube and a ball. The cube has a sign.",
        "There is a cube and a ball. Two objects are small. One object is red.",
        "There is a cube. The ball is larger than a cube. It looks like a cube.",
        "A red cube stands here. The ball is next to a cube.",
        "",
    ],
)
def test_what_can_be_is_left_alone(text):
    assert contradiction(text) == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "There is a red cube. A ball is behind the red cube. A red cube is here.",
            "introduces 'red cube' again",
        ),
        # It may be the same one: nothing that is said of the one is denied of the other.
        ("A small red cube stands here. A red cube is in front of it.", "introduces 'red cube' again"),
        ("We see three objects. There is a cube, a ball and a cube.", "introduces 'cube' again"),
        (
            "The image shows four objects on the ground. There is a cube and a ball.",
            "says 4 and introduces 2",
        ),
        ("There are two things. A cube, a ball and a cone.", "says 2 and introduces 3"),
        ("There are two things: two cubes and a cone.", "says 2 and introduces 3"),
        ("There is a red cube, large ball and a red cube.", "introduces 'red cube' again"),
    ],
)
def test_what_can_not_be_is_told(text, found):
    assert contradiction(text) == found
