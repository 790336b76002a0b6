"""LLaVA's JSON and JSONL: placeholders, both forms of conversation, and every way a row can be wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from PIL import Image

from vila2.data.sample import ImagePart, Sample, TextPart, assistant, user
from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources import open_source
from vila2.sources.chat_turns import UnfitConversation
from vila2.sources.conversations import read_conversation
from vila2.sources.llava import read

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<\r\n"), min_size=1)


@pytest.fixture
def images(tmp_path) -> Path:
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (8, 8), (ord(name[0]), 0, 0)).save(tmp_path / name)
    return tmp_path


def write(folder: Path, rows: list, name: str = "data.json") -> Path:
    path = folder / name
    if path.suffix == ".jsonl":
        path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text(json.dumps(rows))
    return path


def talk(*values: str) -> list[dict]:
    return [{"from": ("human", "gpt")[n % 2], "value": value} for n, value in enumerate(values)]


@pytest.mark.parametrize("name", ["data.json", "data.jsonl"])
def test_a_row_becomes_a_sample(images, name):
    row = {"id": 7, "image": "a.jpg", "conversations": talk("<image>\nWhat?", "A cat."), "model": "gpt-4"}
    (sample,) = read(write(images, [row], name))
    assert sample == Sample(
        "7",
        ((images / "a.jpg").read_bytes(),),
        (user(ImagePart(), "What?"), assistant("A cat.")),
        {"model": "gpt-4", "image": "a.jpg"},
    )


def test_messages_and_lists_of_content_are_read(images):
    text = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    content = [{"type": "text", "text": "Compare"}, {"type": "image"}, {"type": "image"}]
    rows = [
        {"id": "text", "messages": text},
        {"id": "two", "images": ["b.jpg", "a.jpg"], "messages": [{"role": "user", "content": content}]},
    ]
    words, two = read(write(images, rows))
    assert [(turn.role, turn.text) for turn in words.turns] == [("system", "Be brief."), ("user", "Hi")]
    assert two.turns == (user("Compare", ImagePart(0), ImagePart(1)),)
    assert two.images == ((images / "b.jpg").read_bytes(), (images / "a.jpg").read_bytes())


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("<image>\nWhat?", (ImagePart(0), TextPart("What?"))),
        ("What?\n<image>", (TextPart("What?"), ImagePart(0))),
        ("See\n<image>\nthere", (TextPart("See"), ImagePart(0), TextPart("there"))),
        ("What?", (ImagePart(0), TextPart("What?"))),  # the placeholder was left out
        ("<image>", (ImagePart(0),)),
        ("<image>\r\nWhat?\n", (ImagePart(0), TextPart("What?\n"))),
    ],
)
def test_placeholders_become_images_at_their_place(value, parts):
    turns = read_conversation(talk(value, "That."), [b"image"]).turns
    assert turns[0].parts == parts


def test_a_placeholder_that_the_assistant_writes_stays_text():
    turns = read_conversation(talk("<image>\nRepeat it", "<image>"), [b"image"]).turns
    assert turns[1] == assistant("<image>")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["human", "gpt", "system", "user", "assistant"]),
            st.lists(WORDS | st.just("<image>"), max_size=5),
        ),
        min_size=1,
    )
)
def test_turns_are_neither_lost_nor_invented(said):
    """The parsed turns, written out again, are what the row says, but for line ends beside placeholders."""
    rows = [{"from": speaker, "value": "".join(pieces)} for speaker, pieces in said]
    images = sum(
        piece == "<image>" for speaker, pieces in said for piece in pieces if speaker in ("human", "user")
    )
    stored = [bytes([number]) for number in range(images)]
    turns, placed = read_conversation(rows, stored)
    assert list(placed) == stored
    written = [
        "".join("<image>" if isinstance(p, ImagePart) else p.text for p in turn.parts) for turn in turns
    ]
    assert written == [row["value"] for row in rows]
    assert [p.index for turn in turns for p in turn.parts if isinstance(p, ImagePart)] == list(range(images))
    roles = {"human": "user", "gpt": "assistant"}
    assert [turn.role for turn in turns] == [roles.get(speaker, speaker) for speaker, _ in said]
    if images != 0:
        with pytest.raises(UnfitConversation, match="placeholders"):
            read_conversation(rows, [*stored, b"more"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": ["a.jpg", "b.jpg"]}, "placeholder-mismatch"),
        ({"image": None}, "placeholder-mismatch"),
        ({"image": "gone.jpg"}, "unreadable-file"),
        ({"image": "https://example.org/a.jpg"}, "remote-image"),
        ({"image": 3}, "bad-row"),
        ({"image": "nul\0.jpg"}, "unreadable-file"),
        ({"conversations": []}, "missing-text"),
        ({"conversations": "text"}, "missing-text"),
        ({"conversations": None}, "missing-text"),
        ({"conversations": ["text"]}, "bad-row"),
        ({"conversations": [{"from": "narrator", "value": "x"}]}, "unknown-role"),
        ({"conversations": [{"from": "human", "value": 3}]}, "bad-row"),
        ({"conversations": [{"from": "human", "value": [{"type": "video"}]}]}, "video"),
        ({"conversations": [{"from": "gpt", "value": "a cat"}]}, "placeholder-mismatch"),
        ({"conversations": [{"from": "gpt", "value": [{"type": "image"}]}]}, "placeholder-mismatch"),
    ],
)
def test_a_row_that_does_not_fit_is_rejected_by_name(images, change, reason):
    row = {"id": "x1", "image": "a.jpg", "conversations": talk("<image>\nWhat?", "A cat.")}
    path = write(images, [row, {**row, "id": "x2", **change}])
    good, bad = read(path)
    assert isinstance(good, Sample)
    assert bad == Reject(f"{path}[1]", "x2", reason, bad.detail)


def test_broken_lines_are_rejected_by_number(images):
    row = {"id": "x", "conversations": talk("Hi", "Hello")}
    path = write(images, [row, "{broken\n", "\n", "[1]\n", {**row, "id": "y"}], "data.jsonl")
    found = list(read(path))
    assert [getattr(item, "reason", "taken") for item in found] == ["taken", "bad-json", "bad-row", "taken"]
    assert [item.where for item in found if isinstance(item, Reject)] == [f"{path}:2", f"{path}:4"]
    (images / "data.json").write_text("[{]")
    with pytest.raises(DataError, match=r"data\.json: the JSON cannot be read"):
        list(read(images / "data.json"))
    with pytest.raises(DataError, match="no such file"):
        list(read(images / "nothing.json"))


def test_an_id_with_another_conversation_is_another_sample_and_a_repeated_row_is_not(images):
    rows = [{"id": "x", "conversations": talk("Hi", answer)} for answer in ("one", "two", "one", "three")]
    assert [sample.key for sample in read(write(images, rows))] == ["x", "x#2", "x", "x#3"]
    nameless = [{"image": "a.jpg", "conversations": talk("Hi", "one")}, {"conversations": talk("Hi", "two")}]
    assert [sample.key for sample in read(write(images, nameless))] == ["a", "data.json[1]"]


def test_slices_cover_all_rows_once(images):
    path = write(images, [{"id": str(n), "conversations": talk("Hi", f"{n}")} for n in range(10)])
    keys = [sample.key for start in (0, 4, 8) for sample in read(path, start=start, count=4)]
    assert keys == [str(n) for n in range(10)]
    assert [sample.key for sample in read(path, start=9)] == ["9"]
    with pytest.raises(DataError, match="start=-1"):
        list(read(path, start=-1))


def test_images_may_lie_elsewhere(images, tmp_path_factory):
    path = write(
        tmp_path_factory.mktemp("rows"), [{"id": "x", "image": "a.jpg", "conversations": talk("?", "!")}]
    )
    (sample,) = read(path, image_root=images)
    assert Image.open(io.BytesIO(sample.images[0])).size == (8, 8)


def test_sources_are_found_by_name_and_misspellings_get_a_hint(images):
    path = write(images, [{"id": "x", "conversations": talk("Hi", "Hello")}])
    assert [sample.key for sample in open_source("llava", path=path)] == ["x"]
    with pytest.raises(DataError, match="did you mean 'llava'"):
        open_source("lava", path=path)
    with pytest.raises(DataError, match="did you mean 'image_root'"):
        open_source("llava", path=path, image_rot="x")
    with pytest.raises(DataError, match="needs the option 'path'"):
        open_source("llava")
