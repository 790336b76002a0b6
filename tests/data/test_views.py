"""Views: which conversation each kind makes of a sample and its layers."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from vila2.data.layers import STATUSES, Annotation
from vila2.data.sample import BoxPart, ImagePart, Sample, TextPart, Turn, assistant, user
from vila2.data.views import View, apply_view
from vila2.errors import DataError

SHOWN = user(ImagePart())
PAIR = Sample("k", (b"image",), (SHOWN, assistant("short text")))
LAYERS = {
    "self-1": [
        Annotation("k", "Describe.", "bad bad bad", "repetition"),
        Annotation("k", "Describe.", "long text", "ok"),
    ],
    "spatial": [
        Annotation("k", "What is left?", "a cat", "ok"),
        Annotation("k", "What is right?", "", "empty"),
        Annotation("k", "And behind?", "a dog", "ok"),
    ],
}


def said(sample: Sample | None) -> list[tuple[str, str, str, int]]:
    assert sample is not None
    return [
        (
            turn.role,
            "<image>" * sum(isinstance(p, ImagePart) for p in turn.parts) + turn.text,
            turn.source,
            turn.branch,
        )
        for turn in sample.turns
    ]


def view(text: str, sample: Sample = PAIR, layers=LAYERS) -> Sample | None:
    return apply_view(View.parse(text), sample, layers)


def test_only():
    assert view("only(original)") == PAIR
    assert said(view("only(self-1)")) == [
        ("user", "<image>", "original", 0),
        ("assistant", "long text", "self-1", 0),
    ]
    assert view("only(self-1)", layers={}) is None
    assert view("only(self-1)", layers={"self-1": LAYERS["self-1"][:1]}) is None
    assert view("only(original)", PAIR.with_turns((SHOWN,))) is None


def test_concat_puts_the_original_first():
    assert said(view("concat(original,self-1)")) == [
        ("user", "<image>", "original", 0),
        ("assistant", "short text", "original", 0),
        ("assistant", "long text", "self-1", 0),
    ]


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "ok"])
def test_concat_leaves_the_original_alone_where_the_recaption_is_unusable(status):
    assert view("concat(original,self-1)", layers={"self-1": [Annotation("k", "", "text", status)]}) == PAIR
    assert view("concat(original,self-1)", layers={}) == PAIR


def test_concat_of_an_image_without_text():
    bare = PAIR.with_turns((SHOWN,))
    assert said(view("concat(original,self-1)", bare))[1:] == [("assistant", "long text", "self-1", 0)]
    assert view("concat(original,self-1)", bare, {}) is None


def test_dialogue_adds_every_exchange_in_order():
    assert said(view("dialogue(original,self-1,spatial)"))[1:] == [
        ("assistant", "short text", "original", 0),
        ("user", "Describe.", "self-1", 0),
        ("assistant", "long text", "self-1", 0),
        ("user", "What is left?", "spatial", 0),
        ("assistant", "a cat", "spatial", 0),
        ("user", "And behind?", "spatial", 0),
        ("assistant", "a dog", "spatial", 0),
    ]


def test_a_dialogue_without_the_original_asks_in_the_turn_that_shows_the_image():
    assert said(view("dialogue(spatial)"))[:2] == [
        ("user", "<image>What is left?", "original", 0),
        ("assistant", "a cat", "spatial", 0),
    ]


def test_tree_isolates_every_exchange():
    assert said(view("tree(original,self-1,spatial)"))[2:] == [
        ("user", "Describe.", "self-1", 1),
        ("assistant", "long text", "self-1", 1),
        ("user", "What is left?", "spatial", 2),
        ("assistant", "a cat", "spatial", 2),
        ("user", "And behind?", "spatial", 3),
        ("assistant", "a dog", "spatial", 3),
    ]
    assert said(view("tree(spatial)"))[0] == ("user", "<image>", "original", 0)


def test_a_sample_with_branches_gets_further_ones():
    branched = PAIR.with_turns(
        (SHOWN, user("a?", branch=1), assistant("a", branch=1), assistant("b", branch=2))
    )
    assert said(view("concat(original,self-1)", branched))[-1] == ("assistant", "long text", "self-1", 3)


def test_an_annotation_of_several_turns_keeps_its_boxes():
    turns = (user("where?"), assistant("at ", BoxPart((0.0, 0.0, 0.5, 0.5))))
    layers = {"grounding": [Annotation("k", "where?", "at [...]", "ok", turns=turns)]}
    found = view("dialogue(original,grounding)", layers=layers)
    assert found is not None and found.turns[-1].parts == turns[1].parts
    assert found.turns[-1].source == "grounding"
    only = view("only(grounding)", layers=layers)
    assert only is not None and only.turns[1].parts == turns[1].parts


@given(
    st.sampled_from(
        [
            "only(original)",
            "only(self-1)",
            "concat(original,self-1)",
            "dialogue(original,self-1)",
            "tree(self-1)",
        ]
    ),
    st.lists(
        st.builds(
            lambda status, n: Annotation("k", "q?", f"answer {n}", status),
            st.sampled_from(STATUSES),
            st.integers(0, 99),
        )
    ),
)
def test_images_stay_placed_once_and_nothing_unusable_gets_in(text, rows):
    found = view(text, layers={"self-1": rows})
    if found is None:
        assert all(row.status != "ok" for row in rows)
        return
    assert [p for turn in found.turns for p in turn.parts if isinstance(p, ImagePart)] == [ImagePart(0)]
    answers = [turn.text for turn in found.turns if turn.source == "self-1" and turn.role == "assistant"]
    usable = [row.text for row in rows if row.status == "ok"]
    expected = {"only(original)": [], "only(self-1)": usable[:1], "concat(original,self-1)": usable[:1]}
    assert answers == expected.get(text, usable)
    assert found.images == PAIR.images and found.key == "k"


@given(
    st.sampled_from(["dialogue", "tree"]),
    st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), min_size=1, unique=True),
)
def test_a_view_reads_back_what_it_prints(kind, layers):
    layers = [layer for layer in layers if layer != "original"] or ["ocr"]
    made = View(kind, ("original", *layers))
    assert View.parse(str(made)) == made
    assert View.parse(f" {kind} ( original , {' , '.join(layers)} ) ") == made


@pytest.mark.parametrize(
    "text",
    ["", "only", "only()", "only(a,b)", "concat(original)", "concat(self-1,original)", "both(a,b)",
     "only(a)(b)", "dialogue(a,a)", "only(a b)", "tree(,)"],
)  # fmt: skip
def test_what_is_no_view_is_refused(text):
    with pytest.raises(DataError):
        View.parse(text)


def test_text_turns_of_a_trunk_are_joined_with_a_line_end():
    sample = Sample("k", (), (Turn("user", (TextPart("look"),)),))
    found = view("dialogue(original,spatial)", sample)
    assert found is not None and found.turns[0].text == "look\nWhat is left?"
