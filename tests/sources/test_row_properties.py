"""Whatever a row holds, every source of rows makes a sample or a named reject of it, and never fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image

from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.data.shortening import listed, shortened, shown
from vila2.sources import open_source
from vila2.sources.chat_turns import UnfitConversation
from vila2.sources.conversations import Conversation, read_conversation, read_talk
from vila2.sources.image_values import image_bytes, image_name, image_values
from vila2.sources.rows import Keys, Row, row_name

#: What fields of rows really hold, by their names, and what they should never hold.
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text()
    | st.sampled_from(
        [
            "a.jpg",
            "",
            " ",
            "user",
            "human",
            "gpt",
            "image",
            "video",
            "text",
            "<image>",
            "<video>\nWhat?",
            "ok",
            "data:image/png;base64,AAAA",
            "file:///nowhere.jpg",
            "https://example.org/a.jpg",
            "\ud800",
            "nul\0.jpg",
            '[{"from": "human", "value": "Hi"}]',
            "['one', 'two']",
            "[" * 60,
            "{}",
            "/9j/" + "A" * 200,
        ]
    )
)
NAMES = st.sampled_from(
    [
        "id",
        "image",
        "images",
        "conversations",
        "messages",
        "texts",
        "from",
        "value",
        "role",
        "content",
        "type",
        "text",
        "image_url",
        "url",
        "bytes",
        "path",
        "user",
        "assistant",
        "prompt",
        "completion",
        "question",
        "answer",
        "history",
        "system",
        "caption",
        "captions",
        "video",
        "index",
        "status",
        "key",
        "file",
        "input",
        "annotations",
        "data",
        "source",
    ]
) | st.text(max_size=3)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
ROWS = st.dictionaries(NAMES, VALUES, max_size=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("properties")
    Image.new("RGB", (4, 4)).save(folder / "a.jpg")
    return folder


@pytest.mark.parametrize("source", ["llava", "captions", "instructions", "mmc4"])
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=ROWS | VALUES)
def test_any_json_value_is_a_sample_or_a_named_reject(folder, source, row):
    path = folder / f"{source}.jsonl"
    # A good row beside it: a file without any row is of another kind, which is an error.
    path.write_text(json.dumps(row) + "\n" + json.dumps({"question": "Hi?", "answer": "Hello."}) + "\n")
    found = list(open_source(source, path=path))
    assert len(found) >= 2
    for item in found:
        assert isinstance(item, Sample | Reject)
        if isinstance(item, Reject):
            assert item.reason and item.where.startswith(f"{path}:")
            assert len(item.detail) <= 300 and "\n" not in item.detail
        else:
            placed = [part.index for turn in item.turns for part in turn.parts if hasattr(part, "index")]
            assert sorted(placed) == list(range(len(item.images)))


@given(VALUES, st.none() | st.lists(VALUES, max_size=3))
def test_a_conversation_places_each_image_once_or_is_refused(value, stored):
    try:
        found = read_conversation(value, stored)
    except UnfitConversation as error:
        assert error.reason and error.detail
        return
    assert isinstance(found, Conversation)
    placed = [part.index for turn in found.turns for part in turn.parts if hasattr(part, "index")]
    assert sorted(placed) == list(range(len(found.images)))


@given(st.dictionaries(NAMES, VALUES | st.binary(min_size=1)))
def test_rows_of_parquet_are_read_or_refused(row):
    try:
        read_talk(row, image_values(row.get("image")))
    except UnfitConversation as error:
        assert error.reason
    name = row_name(Row("rows.parquet[0]", row), image_values(row.get("image")))
    assert Keys().key(name, row) == name


@given(VALUES | st.binary(max_size=9) | st.lists(st.integers(-5, 300), max_size=20))
def test_any_value_is_an_image_or_a_reject(value):
    found = image_bytes(Path("/nowhere"), value, where="w", key="k")
    assert isinstance(found, bytes | Reject)
    assert isinstance(image_name(value), str)


@given(VALUES | st.binary() | st.text(min_size=1000))
def test_a_value_is_shown_on_one_short_line(value):
    said = shown(value)
    assert len(said) <= 200 and "\n" not in said and "\\xff\\xd8" not in said
    assert len(shortened(str(value))) <= 300
    assert len(listed([value] * 50)) < 800
