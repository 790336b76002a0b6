"""The merged conversation: its caption, its exchanges, boxes, repetitions, budget and views."""

from collections import Counter

import pytest

from tests.merge.merge_jobs import (
    LEFT,
    RIGHT,
    captions,
    everywhere,
    fates,
    hand_made,
    merged,
)
from tests.merge.merge_layers import grounded, said, write_layer
from vila2.data.annotations import Annotation
from vila2.data.layers import original_layer
from vila2.data.sample import BoxPart, TextPart, Turn, assistant, user
from vila2.data.views import View, apply_view
from vila2.merge.fate_counts import tally_merge
from vila2.sources.world import PARTS


def test_without_boxes_a_description_is_a_caption_and_what_only_gives_a_box_is_left_out(small, tmp_path):
    def where(key: str) -> Annotation:
        turns = (user("Where is it?"), Turn("assistant", (BoxPart(LEFT),)))
        return Annotation(key, "Where is it?", "[0.100,0.400,0.300,0.600]", "ok", turns=turns)

    def what(key: str) -> Annotation:
        turns = (
            Turn("user", (TextPart("What is in "), BoxPart(LEFT))),
            assistant("A red cube stands in it."),
        )
        return Annotation(
            key, "What is in [0.100,0.400,0.300,0.600]", "A red cube stands in it.", "ok", turns=turns
        )

    things = [("red cube", LEFT), ("blue ball", RIGHT)]
    rows = [row for key in small.keys() for row in (grounded(key, things), where(key), what(key))]  # noqa: SIM118
    layers = {"original": original_layer(small), "boxes": write_layer(small, "boxes", rows)}
    kept, dropped = (merged(small, layers, tmp_path / way, boxes=way) for way in ("keep", "drop"))
    assert "[0.100,0.400,0.300,0.600]" in " ".join(row.text for row in kept.rows())
    assert "There is a red cube. There is a blue ball." in captions(dropped, "boxes").values()
    for row in dropped.rows():
        assert not any(isinstance(part, BoxPart) for turn in row.turns for part in turn.parts)
        boxed = [row.text[claim.start : claim.end] for claim in row.claims if claim.boxes]
        assert set(boxed) <= {"a red cube", "a blue ball"}, "claims move along, and keep their boxes"
        assert row.prompt not in ("Where is it?", "What is in [0.100,0.400,0.300,0.600]")
    assert {one.reason for one in fates(tmp_path / "drop", "boxes") if not one.kept} <= {"boxes", "duplicate"}


def test_a_word_that_answers_two_questions_answers_both_and_one_question_once(small, tmp_path):
    asked = ["Describe it.", "What is closest?", "What is farthest?", "What is closest?"]
    answers = ["There is a red cube on the ground.", "A red cube.", "A red cube.", "A red cube."]
    rows = [
        row
        for question, answer in zip(asked, answers, strict=True)
        for row in everywhere(small, lambda key, a=answer, q=question: said(key, a, q))
    ]
    key = next(iter(small)).key
    layers = hand_made(small, near=[row for row in rows if row.key == key])
    kept = [row.prompt for row in merged(small, layers, tmp_path / "m").get(key) if row.detail == "near"]
    assert sorted(kept) == ["Describe it.", "What is closest?", "What is farthest?"]


def test_what_was_said_is_not_said_again_and_the_budget_holds(small, tmp_path):
    again = everywhere(
        small, lambda key: said(key, "A cube. There is a red cube. There is a red cube.", "Again?")
    )
    layers = hand_made(small, again=again)
    layer = merged(small, layers, tmp_path / "m", absence=("objects", "texts"))
    assert not any(row.detail == "again" for row in layer.rows() if "A cube" not in row.text)
    reasons = Counter(one.reason for one in fates(tmp_path / "m", "again"))
    assert reasons["duplicate"] >= 4
    assert Counter(one.reason for one in fates(tmp_path / "m", "boxes")) == {"": 8}  # boxes are something new
    tight = merged(small, layers, tmp_path / "tight", budget=30)
    for key in small.keys():  # noqa: SIM118
        rows = tight.get(key)
        assert sum(len(f"{row.prompt} {row.text}".split()) for row in rows) <= 30
    dropped = tally_merge(tmp_path / "tight")["all"]["exchanges"]["dropped"]
    assert dropped["budget"] > 0
    tokens = merged(small, layers, tmp_path / "tokens", budget=30, tokenizer=str(PARTS / "language"))
    assert tokens.count < tight.count or tokens.statistics().words_mean < tight.statistics().words_mean


@pytest.mark.parametrize(
    ("caption", "original", "base"), [("both", True, True), ("original", True, False), ("base", False, True)]
)
def test_the_caption_is_what_was_asked_for(small, tmp_path, caption, original, base):
    layer = merged(small, hand_made(small), tmp_path / "m", caption=caption)
    texts = {sample.key: sample.turns[-1].text for sample in small}
    for key, text in texts.items():
        row = layer.get(key)[0]
        assert row.text.startswith(text) is original and ("weather" in row.text) is base


def test_both_views_give_conversations_that_train(small, tmp_path):
    from vila2.model.assemble import assemble
    from vila2.model.conversation import ConversationEncoder
    from vila2.model.encoded import IGNORED

    layer = merged(small, hand_made(small), tmp_path / "m")
    sample = small[0]
    rows = layer.get(sample.key)
    assert rows[0].detail == "original+self-1" and len(rows) == 3
    dialogue = apply_view(View.parse("dialogue(merged)"), sample, {"merged": rows})
    tree = apply_view(View.parse("tree(merged)"), sample, {"merged": rows})
    assert [turn.role for turn in dialogue.turns] == [
        "user",
        "assistant",
        "assistant",
        *["user", "assistant"] * 2,
    ]
    assert {turn.branch for turn in tree.turns} == {0, 1, 2, 3}
    assert any(isinstance(part, BoxPart) for turn in dialogue.turns for part in turn.parts)
    _, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    encoder, tokenizer = ConversationEncoder(processor), processor.tokenizer
    for style in ("plain", "chat"):
        for viewed in (dialogue, tree):
            encoded = encoder.encode(viewed, style)
            trained = tokenizer.decode([label for label in encoded.labels if label != IGNORED])
            assert "weather" in trained and "fox" in trained and "What is written?" not in trained
            assert trained.count(tokenizer.eos_token) == 3, style  # every answer is known to end
