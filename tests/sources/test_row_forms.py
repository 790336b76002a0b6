"""Rows of Qwen, TRL, OpenAI, ms-swift and the Cauldron: the places of images and turns make no difference."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import Reject, ShardDataset, write_dataset
from vila2.sources import open_source
from vila2.sources.image_values import image_bytes, image_values
from vila2.sources.instructions import read as read_instructions
from vila2.sources.llava import read

ASKED = (user(ImagePart(0), "What?"), assistant("A cat."))


def picture(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (shade, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


A, B = picture(10), picture(200)
URI = "data:image/jpeg;base64," + base64.b64encode(A).decode()


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "a.jpg").write_bytes(A)
    (tmp_path / "b.jpg").write_bytes(B)
    return tmp_path


def rows_of(folder: Path, *rows: object) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def chat(*content: object) -> list[dict]:
    return [{"role": "user", "content": list(content)}, {"role": "assistant", "content": "A cat."}]


WHAT = {"type": "text", "text": "What?"}
LLAVA = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cat."}]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": chat({"type": "image", "image": "a.jpg"}, WHAT)},
        {"messages": chat({"type": "image", "image": "file:///{folder}/a.jpg"}, WHAT)},
        {"messages": chat({"type": "image", "image": URI}, WHAT)},
        {"messages": chat({"type": "image_url", "image_url": {"url": "a.jpg", "detail": "high"}}, WHAT)},
        {"messages": chat({"type": "image_url", "image_url": URI}, WHAT)},
        {
            "messages": chat(
                {"type": "input_image", "image_url": URI}, {"type": "input_text", "text": "What?"}
            )
        },
        {
            "messages": chat(
                {"type": "image", "source": {"type": "base64", "data": URI.partition(",")[2]}}, WHAT
            )
        },
        {"messages": chat({"image": "a.jpg"}, {"text": "What?"})},
        {"messages": chat({"type": "image"}, WHAT), "images": ["a.jpg"]},
        {"messages": chat({"type": "image", "index": 0, "text": None}, WHAT), "images": ["a.jpg"]},
        {"messages": chat({"type": "image", "image": "a.jpg"}, WHAT), "images": ["a.jpg"]},
        {
            "messages": chat({"type": "image", "image": "x/a.jpg"}, WHAT),
            "images": [{"bytes": None, "path": "a.jpg"}],
        },
        {"messages": chat({"type": "image", "image": "gone.jpg"}, WHAT), "image": URI},
        {
            "messages": [
                {"role": "user", "content": "What?", "images": ["a.jpg"]},
                {"role": "assistant", "content": "A cat."},
            ]
        },
        {"conversations": [{"from": "user", "value": "<img>a.jpg</img>\nWhat?"}, LLAVA[1]]},
        {
            "images": ["a.jpg"],
            "query": "<|vision_start|><|image_pad|><|vision_end|>What?",
            "response": "A cat.",
        },
        {"image": None, "images": ["a.jpg"], "conversations": LLAVA},
        {"image": "a.jpg", "conversations": json.dumps(LLAVA)},
        {"image": "a.jpg", "conversations": str(LLAVA)},
        {"image": "a.jpg", "conversations": [json.dumps(turn) for turn in LLAVA]},
        {"image": "a.jpg", "conversations": {"from": ["human", "gpt"], "value": ["<image>What?", "A cat."]}},
        {"image": "a.jpg", "conversations": [["<image>What?", "A cat."]]},
        {"images": ["a.jpg"], "texts": [{"user": "What?", "assistant": "A cat.", "source": "x"}]},
        {"images": ["a.jpg"], "query": "<image>What?", "response": "A cat.", "history": []},
        {"image": "a.jpg", "prompt": "What?", "completion": "A cat."},
        {"image": "a.jpg", "prompt": chat(WHAT)[:1], "completion": chat(WHAT)[1:]},
        {"image": "a.jpg", "question": "What?", "answer": "A cat."},
        {"image": URI.partition(",")[2], "conversations": LLAVA},
        {"image": "sub\\..\\a.jpg", "conversations": LLAVA},
        {
            "image_path": "a.jpg",
            "conversations": [{"from": "User", "value": "What?"}, {"from": "GPT", "value": "A cat."}],
        },
    ],
)
def test_the_same_image_and_question_in_every_form(folder, row):
    (folder / "sub").mkdir()
    row = json.loads(json.dumps(row).replace("/{folder}", str(folder)))
    (sample,) = read(rows_of(folder, row))
    assert isinstance(sample, Sample), sample
    assert (sample.turns, sample.images) == (ASKED, (A,))


def test_images_keep_their_order_between_turns(folder):
    talk = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "One"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "1"}]},
        {
            "role": "user",
            "content": [{"type": "image", "image": "b.jpg"}, {"type": "image", "image": "a.jpg"}],
        },
        {"role": "assistant", "content": "2"},
    ]
    (sample,) = read(rows_of(folder, {"images": ["a.jpg"], "system": "Be brief.", "messages": talk}))
    assert sample.images == (A, B, A)
    assert [turn.role for turn in sample.turns] == ["system", "user", "assistant", "user", "assistant"]
    assert sample.turns[3].parts == (ImagePart(1), ImagePart(2))
    # Several images without any placeholder stand before the first words, as TRL and ms-swift have it.
    (several,) = read(rows_of(folder, {"images": ["a.jpg", "b.jpg"], "query": "Which?", "response": "B"}))
    assert several.turns[0] == user(ImagePart(0), ImagePart(1), "Which?")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            {"video": "v.mp4", "conversations": [{"from": "human", "value": "<video>\nWhat?"}, LLAVA[1]]},
            "video",
        ),
        ({"videos": ["v.mp4"], "query": "What?", "response": "A dog."}, "video"),
        ({"conversations": [{"from": "human", "value": "What?\n<video>"}, LLAVA[1]]}, "video"),
        ({"conversations": [{"from": "human", "value": "<video> What?"}, LLAVA[1]]}, "video"),
        ({"image": "a.jpg", "video": "v.mp4", "conversations": LLAVA}, "video"),
        ({"messages": chat({"type": "video", "video": "v.mp4"}, WHAT)}, "video"),
        ({"messages": chat({"type": "video_url", "video_url": {"url": "v.mp4"}}, WHAT)}, "video"),
        ({"messages": chat({"type": "audio", "audio": "s.wav"}, WHAT)}, "audio"),
        ({"messages": chat({"type": "input_audio", "input_audio": {"data": "AA"}}, WHAT)}, "audio"),
        ({"audio": {"bytes": "x"}, "conversations": LLAVA}, "audio"),
        (
            {"messages": chat({"type": "image", "image": "b.jpg"}, WHAT), "images": ["a.jpg"]},
            "placeholder-mismatch",
        ),
        ({"messages": chat({"type": "image"}, WHAT)}, "placeholder-mismatch"),
        (
            {"messages": chat({"type": "image_url", "image_url": {"url": "https://x/a.jpg"}}, WHAT)},
            "remote-image",
        ),
        ({"image": "s3://bucket/a.jpg", "conversations": LLAVA}, "remote-image"),
        ({"image": "data:image/png;base64,@@", "conversations": LLAVA}, "corrupt-image"),
        ({"image": "a.jpg", "caption": "A cat."}, "missing-field"),
        ({"image": {"bytes": None, "path": None}, "conversations": LLAVA}, "placeholder-mismatch"),
    ],
)
def test_what_cannot_be_read_is_named_and_never_becomes_text_alone(folder, row, reason):
    (bad,) = read(rows_of(folder, {"id": "x", **row}))
    assert isinstance(bad, Reject) and (bad.key, bad.reason) == ("x", reason), bad
    assert len(bad.detail) <= 300


def test_rows_about_images_and_videos_are_no_instructions(folder):
    rows = [
        {"image": "a.jpg", "conversations": LLAVA},
        {"conversations": LLAVA},
        {"video": "v.mp4", "question": "What?", "answer": "A dog."},
        {"question": "How does <video> work in HTML?", "answer": "<video src=x>"},
    ]
    found = list(read_instructions(rows_of(folder, *rows)))
    assert [getattr(item, "reason", "taken") for item in found] == ["image", "image", "video", "taken"]


def test_text_only_rows_are_samples_in_every_source_of_conversations(folder):
    path = rows_of(
        folder, {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    )
    for source in ("llava", "instructions"):
        (sample,) = open_source(source, path=path)
        assert (sample.images, sample.turns) == ((), (user("Hi"), assistant("Hello")))
    (caption,) = open_source("captions", path=rows_of(folder, {"image": None, "caption": "A cat."}))
    assert caption.reason == "no-image"


def test_ids_that_repeat_are_told_apart_and_rows_that_repeat_are_rejected(folder):
    talk = [[{"from": "human", "value": text}, LLAVA[1]] for text in ("One", "Two")]
    rows = [
        {"id": name, "conversations": talk[n]}
        for name, n in (("x", 0), ("x#2", 0), ("x", 1), ("x", 0), (True, 0))
    ]
    path = rows_of(folder, *rows)
    assert [sample.key for sample in read(path)] == ["x", "x#2", "x#3", "x", "True"]
    info = write_dataset(folder / "out", read(path), name="out")
    assert (info.count, info.rejected) == (4, {"duplicate-key": 1})


def test_no_reject_and_no_meta_holds_an_images_bytes(folder):
    long = base64.b64encode(b"\xff\xd8\xff" + bytes(60_000)).decode()
    rows = [
        {"image": long[4:], "conversations": LLAVA},
        {"id": long, "image": "gone.jpg", "conversations": LLAVA},
        {"image": "a.jpg", "conversations": long},
        {"image": "a.jpg", long: 1},
        {"image": URI, "conversations": LLAVA},
    ]
    *bad, good = read(rows_of(folder, *rows))
    assert all(isinstance(item, Reject) for item in bad)
    assert all(len(item.detail) <= 300 and len(item.key) < 600 for item in bad)
    assert good.meta == {} and good.key == "rows.jsonl:5"


@pytest.mark.parametrize("kind", ["struct", "bytes", "list", "numbers"])
def test_images_inside_parquet(folder, kind):
    import pyarrow as pa
    import pyarrow.parquet as pq

    value, number = {
        "struct": ({"bytes": A, "path": "a.jpg"}, 1),
        "bytes": (A, 1),
        "list": ([{"bytes": A, "path": None}, {"bytes": B, "path": None}], 2),
        "numbers": (list(A), 1),
    }[kind]
    talk = [{"from": "human", "value": "<image>" * number + "What?"}, LLAVA[1]]
    rows = [
        {"id": "x", "image": value, "conversations": json.dumps(talk)},
        {"id": "y", "image": None, "conversations": "[]"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
    sample, bad = read(folder / "rows.parquet")
    assert sample.images == (A, B)[:number] and len(sample.turns) == 2
    assert bad == Reject(f"{folder / 'rows.parquet'}[1]", "y", "missing-text", "no conversation")
    info = write_dataset(folder / "out", [sample], name="out")
    assert info.count == 1 and ShardDataset.open(folder / "out")[0].images == sample.images


def test_pictures_and_pixels_are_images():
    pixels = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(6, 8, 3)
    for value in (Image.fromarray(pixels), pixels, pixels.tolist()):
        (one,) = image_values(value)
        data = image_bytes(Path(), one, where="w", key="k")
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
    floats = image_bytes(Path(), pixels / 255, where="w", key="k")
    assert isinstance(floats, Reject) and "shape (6, 8, 3)" in floats.detail
