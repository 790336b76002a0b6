"""The fate of each sentence: its verdict, whether it stays, and why."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.merge.merge_jobs import CAPTION, captions, everywhere, fates, hand_made, merged
from tests.merge.merge_layers import said, write_layer
from vila2.data.layers import original_layer
from vila2.data.sample import TextPart, assistant, user
from vila2.data.views import View, apply_view
from vila2.exports.conventions import choose_convention
from vila2.exports.export_rows import rows_of
from vila2.merge.answer_sentences import Sentence
from vila2.merge.deciding import decided
from vila2.merge.fate_counts import tally_merge
from vila2.merge.fates import read_fates
from vila2.merge.hearing import HeardExchange, Spoken
from vila2.merge.sources import Source
from vila2.recipe.parts.specialists import MergeSpec


def test_every_sentence_has_its_verdict_its_fate_and_the_reason(small, tmp_path):
    merged(small, hand_made(small), tmp_path / "m")
    found = [(one.text, one.verdict, one.reason) for one in fates(tmp_path / "m", "self-1")][:10]
    assert found == [
        ("There is a red cube.", "supported", ""),
        ("It is large.", "unverified", ""),
        ("The red cube is left of the blue ball.", "supported", ""),
        ("The red cube is right of the blue ball.", "contradicted", "contradicted"),
        ('The sign on the red cube says "fox".', "supported", ""),
        ('The red cube says "dog".', "contradicted", "contradicted"),
        ("There are two cubes.", "contradicted", "contradicted"),
        ("A green ball is there.", "contradicted", "contradicted"),
        ("It shines.", "unverified", "leans"),
        ("The weather is fine.", "unverified", ""),
    ]
    details = {one.text: one.detail for one in fates(tmp_path / "m", "self-1")}
    assert details['The red cube says "dog".'] == "'dog': it says 'fox'"
    assert details["There are two cubes."] == "'two cubes': 1 found"


def test_an_unverified_sentence_obeys_the_policy_and_a_contradicted_one_does_not(small, tmp_path):
    layers = hand_made(small)
    kept = captions(merged(small, layers, tmp_path / "keep"))
    dropped = captions(merged(small, layers, tmp_path / "drop", unverified="drop"))
    assert all(text.endswith("The weather is fine.") and "dog" not in text for text in kept.values())
    expected = (
        'There is a red cube. The red cube is left of the blue ball. The sign on the red cube says "fox".'
    )
    assert set(dropped.values()) == {expected}


def test_what_is_refuted_may_stay_as_context_that_the_loss_leaves_out(small, tmp_path):
    layers = hand_made(small)
    dropped = merged(small, layers, tmp_path / "drop")
    masked = merged(small, layers, tmp_path / "mask", contradicted="mask")
    reasons = {one.text: (one.kept, one.reason) for one in fates(tmp_path / "mask", "self-1")}
    assert reasons["There are two cubes."] == reasons["A green ball is there."] == (False, "masked")
    assert reasons["It shines."] == (False, "masked"), "a pronoun needs the sentence before it"
    row = next(row for row in masked.rows() if not row.prompt)
    own = [turn for turn in row.turns if turn.source == "self-1"]
    assert "".join(turn.text for turn in own) == CAPTION
    assert [turn.trained for turn in own] == [True, False, True, False, True]
    assert own[1].text == " The red cube is right of the blue ball."
    assert [row.text for row in masked.rows()] == [row.text for row in dropped.rows()], "texts to learn"
    sample = next(iter(small))
    viewed = apply_view(View.parse("only(m)"), sample, {"m": [replace(row, turns=tuple(own))]})
    assert [(turn.text, turn.trained) for turn in viewed.turns[1:]] == [(t.text, t.trained) for t in own]
    (exported,) = rows_of(viewed, choose_convention(None, None), "")
    assert exported.answers == [row.text.split("\n")[-1]], "other trainers get what may be learned"


def test_absence_proves_only_what_it_is_told_to(small, tmp_path):
    merged(small, hand_made(small), tmp_path / "m", absence=())
    verdicts = {one.text: one.verdict for one in fates(tmp_path / "m", "self-1")}
    assert verdicts["A green ball is there."] == verdicts["There are two cubes."] == "unverified"
    assert verdicts["The red cube is right of the blue ball."] == "contradicted"
    assert verdicts['The red cube says "dog".'] == "contradicted"  # something else was read there


@pytest.mark.parametrize(
    ("absence", "verdict"), [(("texts", "repeats"), "unverified"), (("objects",), "contradicted")]
)
def test_a_number_that_is_too_high_is_refuted_only_by_objects(small, tmp_path, absence, verdict):
    text = "Three red cubes stand beside a ball."
    layers = hand_made(small, **{"self-1": everywhere(small, lambda key: said(key, text))})
    merged(small, layers, tmp_path / "m", absence=absence)
    assert {one.verdict for one in fates(tmp_path / "m", "self-1")} == {verdict}
    assert MergeSpec().absence == ("texts", "repeats")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("It has a sign.", "leans"),
        ("This is large.", "leans"),
        ("2. These are large.", "leans"),
        ("This image has a dog in it.", ""),
        ("These dogs are brown.", ""),
    ],
)
def test_what_speaks_of_the_sentence_before_falls_with_it(text, reason):
    before = Spoken(Sentence((TextPart("A cube."),)), "contradicted")
    told = HeardExchange(Source("self-1", "base"), 0, None, (before, Spoken(Sentence((TextPart(text),)))))
    assert [one.reason for one in decided(told, MergeSpec()).spoken] == ["contradicted", reason]


def test_claims_of_the_merged_layer_carry_their_verdicts(small, tmp_path):
    row = next(merged(small, hand_made(small), tmp_path / "m").rows())
    assert {row.text[one.start : one.end]: one.status for one in row.claims if one.kind == "text"} == {
        "fox": "supported"
    }


def test_what_is_asked_and_not_answered_is_counted(small, tmp_path):
    one, two, three, four = small.keys()
    turns = {
        one: (),
        two: (user("What is there?"),),
        three: (user("What is there?"), user("And where?"), assistant("A cube on the left.")),
        four: (user("What is there?"), assistant("A cube."), user("And where?")),
    }
    rows = [replace(said(key, "A cube."), turns=own) for key, own in turns.items()]
    layers = {name: write_layer(small, name, rows) for name in ("self-1", "asked")}
    merged(small, {"original": original_layer(small)} | layers, tmp_path / "m")
    found = {
        name: Counter(
            (fate.key, fate.text, fate.reason)
            for fate in read_fates(tmp_path / "m")
            if fate.source == name and fate.sentence < 0
        )
        for name in layers
    }
    assert found["asked"] == Counter([
        (one, "Describe the image in details.", "nothing left"), (two, "What is there?", "nothing left"),
        (three, "What is there?", "nothing left"), (three, "And where?", ""),
        (four, "What is there?", ""), (four, "And where?", "nothing left"),
    ])  # fmt: skip
    assert tally_merge(tmp_path / "m")["sources"]["asked"]["exchanges"] == {
        "kept": 2,
        "dropped": {"nothing left": 4},
    }
    assert found["self-1"] == Counter(
        {(one, "", "nothing left"): 1, (two, "", "nothing left"): 1, (three, "", ""): 1, (four, "", ""): 1}
    )


def test_the_original_stays_unless_it_is_to_be_judged(small, tmp_path):
    layers = hand_made(small) | {"original": _Original(small, "a green ball")}
    assert all(
        row.text.startswith("a green ball")
        for row in merged(small, layers, tmp_path / "k").rows()
        if not row.prompt
    )
    judged = merged(small, layers, tmp_path / "v", original="verify")
    assert not any("green" in row.text for row in judged.rows())


class _Original:
    name, digest, info = "original", "d", {}

    def __init__(self, dataset, text):
        self._dataset, self._text = dataset, text

    def shard(self, shard_no):
        return {key: (said(key, self._text, ""),) for key in self._dataset.shard_keys(shard_no)}


def test_the_papers_arm_appends_everything_and_says_what_it_takes_in(small, tmp_path):
    layer = merged(small, hand_made(small), tmp_path / "m", arm="append")
    assert set(captions(layer).values()) == {CAPTION}
    numbers = tally_merge(tmp_path / "m")["sources"]["self-1"]
    assert numbers["verdicts"]["contradicted"] == 4 * 4
    assert numbers["before"] == numbers["after"] and numbers["before"]["contradiction_rate"] > 0.2
