"""Text-only instructions for joint SFT (VILA section 3.3): chats as ShareGPT's, and rows as Alpaca's or FLAN's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vila2.data.sample import Sample, Turn, assistant, user
from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources.conversations import UnfitConversation, parse_conversation
from vila2.sources.rows import Keys, Row, read_rows, take

CHATS = ("conversations", "messages", "conversation")
#: What files call what is asked, what it is about, and what is answered; the first that a row has counts.
QUESTIONS = ("instruction", "inputs", "question", "query", "prompt")
CONTEXTS = ("input", "context")
ANSWERS = ("output", "targets", "answer", "response", "completion")


def read(
    path: Path | str,
    *,
    question_key: str = "",
    answer_key: str = "",
    start: int = 0,
    count: int | None = None,
) -> Iterator[Sample | Reject]:
    """Reads chats ``{"conversations": [...]}`` and rows of question and answer, without images.

    Known rows: Alpaca and MathInstruct (``instruction``, ``input``, ``output``), FLAN (``inputs``, ``targets``),
    Dolly (``instruction``, ``context``, ``response``), GSM8K and others (``question`` or ``query``, ``answer`` or
    ``response``). Other fields go to the meta. ``<image>`` in a text stays text.

    Args:
        path: JSON, JSON lines or Parquet, or a folder of such files.
        question_key, answer_key: the fields, where they have other names.
        start, count: a slice of the rows.

    Raises:
        DataError: only one of the two keys is given, or no such file.
    """
    if bool(question_key) != bool(answer_key):
        raise DataError("one of question_key and answer_key is given", mend="give both, or none")
    keys = Keys()
    for row in take(read_rows(path), start, count):
        yield row if isinstance(row, Reject) else _sample(row, question_key, answer_key, keys)


def _sample(row: Row, question_key: str, answer_key: str, keys: Keys) -> Sample | Reject:
    own = row.fields.get("id")
    key = keys.key(str(own) if own not in (None, "") else Path(row.where).name, row.fields)
    try:
        if question_key:
            turns, used = _exchange(row.fields, (question_key,), (), (answer_key,))
        elif chat := _first(row.fields, CHATS):
            turns, used = parse_conversation(row.fields[chat], None), (chat,)
        else:
            turns, used = _exchange(row.fields, QUESTIONS, CONTEXTS, ANSWERS)
    except UnfitConversation as error:
        return Reject(row.where, key, error.reason, error.detail)
    meta = {name: value for name, value in row.fields.items() if name not in ("id", *used)}
    return Sample(key, (), turns, meta)


def _exchange(
    fields: Mapping[str, Any], questions: tuple[str, ...], contexts: tuple[str, ...], answers: tuple[str, ...]
) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    """The question with what it is about, and the answer; and the fields they stand in."""
    question, answer = _first(fields, questions), _first(fields, answers)
    if question is None or answer is None:
        missing = questions if question is None else answers
        raise UnfitConversation(
            "missing-field", f"none of {', '.join(missing)}; fields: {', '.join(map(str, fields))}"
        )
    context = _first(fields, contexts)
    for name in (question, answer):
        if not isinstance(fields[name], str) or not fields[name].strip():
            raise UnfitConversation("missing-text", f"{name!r} holds no text")
    about = str(fields[context]).strip() if context and fields[context] else ""
    asked = "\n\n".join(filter(None, [fields[question].strip(), about]))
    used = tuple(name for name in (question, context, answer) if name)
    return (user(asked), assistant(fields[answer].strip())), used


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in fields), None)
