"""Exchanges: every question with its answer and its kind, whatever the form of the conversation."""

from vila2.data.exchanges import exchanges_of
from vila2.data.sample import BoxPart, ImagePart, Sample, assistant, user


def of(*turns, **meta):
    return [
        (e.number, e.kind, e.question.parts, e.answer.text)
        for e in exchanges_of(Sample("k", (), turns, meta))
    ]


def test_rounds_and_branches_and_the_image_apart():
    one, two = user(ImagePart(), "A?").parts[1], user("B?").parts[0]
    assert of(user(ImagePart(), "A?"), assistant("a"), user("B?"), assistant("b"), kinds=["x", "y"]) == [
        (0, "x", (one,), "a"),
        (1, "y", (two,), "b"),
    ]
    branches = (
        user(ImagePart()),
        user("A?", branch=1),
        assistant("a", branch=1),
        user("B?", branch=2),
        assistant("b", branch=2),
    )
    assert of(*branches, kind="x") == [(0, "x", (one,), "a"), (1, "x", (two,), "b")]


def test_a_question_may_be_a_box_alone_and_a_caption_is_no_exchange():
    box = BoxPart((0, 0, 1, 1))
    assert of(user(ImagePart(), box), assistant("a")) == [(0, "", (box,), "a")]
    assert of(user(ImagePart()), assistant("a caption")) == []
