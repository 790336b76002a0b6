"""Source `instructions`: text-only chats and rows of question and answer (joint SFT, VILA section 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vila2.data.rejects import Reject
from vila2.data.sample import Sample
from vila2.errors import DataError
from vila2.sources.chat_turns import UnfitConversation
from vila2.sources.conversations import read_exchange, read_talk
from vila2.sources.image_values import row_images
from vila2.sources.rows import Keys, Row, other_fields, read_rows, row_name, take


def read(
    path: Path | str,
    *,
    question_key: str = "",
    answer_key: str = "",
    start: int = 0,
    count: int | None = None,
) -> Iterator[Sample | Reject]:
    """Reads chats ``{"conversations": [...]}`` and rows of question and answer, without images.

    Known rows are those of Alpaca and MathInstruct (``instruction``, ``input``, ``output``), FLAN
    (``inputs``, ``targets``), Dolly (``instruction``, ``context``, ``response``), GSM8K and others
    (``question`` or ``query``, ``answer`` or ``response``). Other fields go to the meta. ``<image>`` in a
    text stays text. Rows about an image or a video are rejected.

    Args:
        path: file of JSON, JSON lines, CSV or Parquet, plain or compressed, or folder of such files.
        question_key: field of the question; by default the first usual one.
        answer_key: field of the answer; by default the first usual one. Give both keys or none.
        start: number of the first row, from 0.
        count: most rows to read; all by default.

    Raises:
        DataError: only one of the two keys is given, or the file does not exist.
    """
    if bool(question_key) != bool(answer_key):
        raise DataError("one of question_key and answer_key is given", hint="give both, or none")
    keys = Keys()
    for row in take(read_rows(path), start, count):
        yield row if isinstance(row, Reject) else _sample(row, question_key, answer_key, keys)


def _sample(row: Row, question_key: str, answer_key: str, keys: Keys) -> Sample | Reject:
    key = keys.key(row_name(row), row.fields)
    try:
        if image := row_images(row.fields)[1]:
            raise UnfitConversation("image", f"the row has an image ({image}); source llava reads images")
        if question_key:
            talk, used = read_exchange(row.fields, None, question_key, answer_key)
        else:
            talk, used = read_talk(row.fields, None)
    except UnfitConversation as error:
        return Reject(row.where, key, error.reason, error.detail)
    return Sample(key, (), talk.turns, other_fields(row.fields, {"id", *used}), where=row.where)
