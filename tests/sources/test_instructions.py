"""Text-only instructions: chats and rows of question and answer, as their makers publish them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vila2.data.sample import Sample, TextPart, Turn, assistant, user
from vila2.data.shards import Reject, ShardDataset, write_dataset
from vila2.errors import DataError
from vila2.sources.instructions import read


def write(folder: Path, *rows: dict) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("row", "question", "answer", "meta"),
    [
        ({"instruction": "Add.", "input": "1, 2", "output": "3"}, "Add.\n\n1, 2", "3", {}),
        ({"instruction": "Greet.", "input": "", "output": "Hi!"}, "Greet.", "Hi!", {}),
        ({"inputs": "Q", "targets": "A", "task": "cot"}, "Q", "A", {"task": "cot"}),
        ({"instruction": "Who?", "context": "Ada.", "response": "Ada", "category": "qa"},
         "Who?\n\nAda.", "Ada", {"category": "qa"}),
        ({"query": "2 + 2?", "response": "4"}, "2 + 2?", "4", {}),
        ({"question": "2 + 2?", "answer": "4"}, "2 + 2?", "4", {}),
    ],
    ids=["alpaca", "alpaca-no-input", "flan", "dolly", "gsm8k-screl", "gsm8k"],
)  # fmt: skip
def test_rows_of_question_and_answer(tmp_path, row, question, answer, meta):
    (sample,) = read(write(tmp_path, row))
    assert sample == Sample("rows.jsonl:1", (), (user(question), assistant(answer)), meta)


def test_a_chat_as_sharegpt_has_it(tmp_path):
    said = [("system", "Be brief."), ("human", "Hi"), ("gpt", "Hello"), ("user", "Bye"), ("chatgpt", "Bye!")]
    row = {"id": "a1", "conversations": [{"from": speaker, "value": text} for speaker, text in said]}
    (sample,) = read(write(tmp_path, row))
    assert sample.key == "a1"
    assert sample.turns[0] == Turn("system", (TextPart("Be brief."),))
    assert sample.turns[1:] == (user("Hi"), assistant("Hello"), user("Bye"), assistant("Bye!"))


def test_a_placeholder_in_a_text_stays_text(tmp_path):
    row = {
        "messages": [
            {"role": "user", "content": "What is <image> in HTML?"},
            {"role": "assistant", "content": "?"},
        ]
    }
    (sample,) = read(write(tmp_path, row))
    assert sample.turns[0] == user("What is <image> in HTML?")


def test_fields_of_other_names(tmp_path):
    path = write(tmp_path, {"q": "Q", "a": "A", "input": "i"})
    (sample,) = read(path, question_key="q", answer_key="a")
    assert (sample.turns, sample.meta) == ((user("Q"), assistant("A")), {"input": "i"})
    with pytest.raises(DataError, match="question_key and answer_key"):
        list(read(path, question_key="q"))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "x"}, "missing-field"),
        ({"instruction": "x"}, "missing-field"),
        ({"instruction": "x", "output": " "}, "missing-text"),
        ({"instruction": 3, "output": "x"}, "missing-text"),
        ({"conversations": []}, "missing-text"),
        ({"conversations": [{"from": "narrator", "value": "x"}]}, "unknown-role"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "placeholder-mismatch"),
    ],
)
def test_what_does_not_fit_is_rejected_by_name(tmp_path, row, reason):
    (bad,) = read(write(tmp_path, {"id": "x"} | row))
    assert isinstance(bad, Reject) and (bad.key, bad.reason) == ("x", reason)


def test_text_only_samples_are_stored(tmp_path):
    path = write(tmp_path, *({"inputs": f"Q{n}", "targets": f"A{n}"} for n in range(3)))
    write_dataset(tmp_path / "out", read(path, start=1), name="flan")
    assert [s.turns for s in ShardDataset.open(tmp_path / "out")] == [
        (user(f"Q{n}"), assistant(f"A{n}")) for n in (1, 2)
    ]
