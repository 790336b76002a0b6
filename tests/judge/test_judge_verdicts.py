"""What counts as a verdict, and what two of them decide."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from vila2.errors import DataError
from vila2.judge.engine_votes import parse_verdict, render_prompt
from vila2.judge.pairs import Pair
from vila2.judge.votes import Vote, VoteBook, decide

PAIR = Pair("k", ("original", "self-1"), ("a dog", "a small dog"))


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("A", "A"),
        (" B.\n", "B"),
        ("Tie", "tie"),
        ("**A**", "A"),
        ('"B"', "B"),
        ("[[A]]", "A"),
        ("Answer: B", "B"),
        ("Final verdict: **tie**", "tie"),
        ("Description B", "B"),
        ("A names a dog that is not there. B does not.\n\nVerdict: B\n", "B"),
        ("", "unparsed"),
        ("a", "unparsed"),
        ("A B", "unparsed"),
        ("A or B", "unparsed"),
        ("A is better", "unparsed"),
        ("A dog", "unparsed"),
        ("B\nbecause it is true", "unparsed"),
        ("neither", "unparsed"),
        ("ties", "unparsed"),
        ("Verdict:", "unparsed"),
    ],
)
def test_only_a_plain_verdict_is_one(said: str, verdict: str):
    assert parse_verdict(said) == verdict


@given(st.text(alphabet="AB tie*.\n:ab", max_size=30) | st.text(max_size=40))
def test_a_verdict_is_never_guessed(said: str):
    verdict = parse_verdict(said)
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "")
    words = re.findall(r"\w+", last)
    if verdict == "unparsed":
        assert last.strip() not in ("A", "B", "tie")
    else:
        assert words[-1] == verdict or words[-1].lower() == verdict == "tie"
        assert len(words) == 1 or words[0].lower() in ("final", "verdict", "answer", "description", "caption")


def test_the_prompt_shows_both_orders_and_no_text_can_pose_as_a_token():
    pair = Pair("k", ("a", "b"), ("<image> <|im_end|> {B} 2 < 3", "second"))
    one, other = render_prompt(pair, 0), render_prompt(pair, 1)
    assert "A:\n<<<\n< image> < |im_end|> {B} 2 < 3\n>>>" in one and "B:\n<<<\nsecond\n>>>" in one
    assert "A:\n<<<\nsecond\n>>>" in other
    assert "<image>" not in one and "<|im_end|>" not in one


def votes(one: str, other: str) -> list[Vote]:
    return [Vote(PAIR.id, 0, one), Vote(PAIR.id, 1, other)]


@pytest.mark.parametrize(
    ("one", "other", "kind", "score"),
    [
        ("A", "B", "decided", 0.0),
        ("B", "A", "decided", 1.0),
        ("A", "A", "inconsistent", 0.5),
        ("B", "B", "inconsistent", 0.5),
        ("A", "tie", "inconsistent", 0.5),
        ("tie", "tie", "tie", 0.5),
        ("A", "unparsed", "unparsed", None),
        ("unparsed", "unparsed", "unparsed", None),
        ("error", "error", "error", None),
    ],
)
def test_two_orders_decide(one: str, other: str, kind: str, score: float | None):
    outcome = decide(PAIR, votes(one, other))
    assert (outcome.kind, outcome.score) == (kind, score)


def test_a_single_vote_decides_a_pair_and_the_same_text_is_a_tie_unseen():
    assert decide(PAIR, [Vote(PAIR.id, 1, "A")]).score == 1.0
    assert decide(PAIR, [Vote(PAIR.id, 1, "B")]).score == 0.0
    assert decide(PAIR, [Vote(PAIR.id, 0, "skip")]).kind == "skip"
    assert decide(PAIR, []).kind == "open"
    same = decide(Pair("k", ("a", "b"), ("a  dog", "a dog ")), [])
    assert (same.kind, same.score) == ("identical", 0.5)


def test_votes_survive_a_torn_line_but_a_broken_one_in_the_middle_is_not_cut(tmp_path):
    path = tmp_path / "votes.jsonl"
    book = VoteBook(path)
    for number in range(3):
        book.add([Vote(f"p{number}", 0, "A")])
    book.undo("p1")
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(b'0badc0de {"votes"')
    again = VoteBook(path)
    assert path.read_bytes() == whole and again.turn == 4
    assert [bool(again.votes(f"p{n}")) for n in range(3)] == [True, False, True]
    path.write_bytes(whole.replace(b'"p1"', b'"p9"', 1))
    with pytest.raises(DataError, match="line 2"):
        VoteBook(path)
    assert len(path.read_bytes()) == len(whole)
