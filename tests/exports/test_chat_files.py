"""JSON files of chats: what LLaVA, ShareGPT, LLaMA-Factory and ms-swift find in them."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image

from tests.exports.conftest import BOX
from vila2.data.sample import Sample
from vila2.sources import open_source


def rows(folder, name: str = "data.json") -> dict[str, dict]:
    text = (folder / name).read_text(encoding="utf-8")
    found = json.loads(text) if name.endswith(".json") else [json.loads(line) for line in text.splitlines()]
    return {row.get("id", str(number)): row for number, row in enumerate(found)}


def test_llava_rows_name_their_image_and_ask(export):
    folder, made = export("llava", question="Describe the photo.")
    found = rows(folder)
    assert found["dog"] == {
        "id": "dog",
        "image": "images/dog.jpg",
        "conversations": [
            {"from": "human", "value": "<image>\nDescribe the photo."},
            {"from": "gpt", "value": "our dog"},
        ],
    }
    assert found["a/b c"]["conversations"][0]["value"] == "<image>\nWhat?"  # its own question stays
    assert found["two"]["image"] == ["images/two-0.jpg", "images/two-1.jpg"]
    assert "image" not in found["words"]
    for row in found.values():
        for name in [row["image"]] if isinstance(row.get("image"), str) else row.get("image", []):
            Image.open(folder / name).load()
    assert made.rows == len(found) == 5


def test_a_text_that_the_reader_would_take_for_an_image_is_left_out_and_counted(export):
    folder, made = export("llava")
    assert "tag" not in rows(folder)
    assert made.left_out == {"mark-in-text": 1}
    [line] = map(json.loads, (folder / "left_out.jsonl").read_text().splitlines())
    assert (line["key"], line["reason"]) == ("tag", "mark-in-text")
    assert "'<image>'" in line["detail"]


def test_a_turned_photo_is_written_upright(export, dataset):
    folder, made = export("llava")
    image = Image.open(folder / "images/upright.jpg")
    assert image.size == (40, 80) and image.getexif().get(274, 1) == 1
    assert made.converted == 1
    stored = next(sample for sample in dataset if sample.key == "dog").images[0]
    assert (folder / "images/dog.jpg").read_bytes() == stored  # any other file stays as it is


@pytest.mark.parametrize("to", ["llava", "sharegpt", "llama-factory", "ms-swift", "trl", "huggingface"])
def test_what_is_exported_is_read_back(export, dataset, to):
    folder, made = export(to, view="only(original)")
    where = {"ms-swift": "data.jsonl", "trl": "data", "huggingface": "data"}.get(to, "data.json")
    root = {} if to in ("trl", "huggingface") else {"image_root": folder}
    read = list(open_source("llava", path=folder / where, **root))
    assert all(isinstance(sample, Sample) for sample in read), read
    texts = {text(sample): len(sample.images) for sample in read}
    expected = {text(sample): len(sample.images) for sample in dataset}
    if to not in ("trl", "huggingface"):  # their images stand apart from the text
        expected.pop(next(one for one in expected if "<image> here" in one))
    assert texts == expected and made.rows == len(expected)
    pixels = {text(sample): [_decoded(data) for data in sample.images] for sample in read}
    for sample in dataset:
        if text(sample) in pixels and sample.key != "upright":  # that one was encoded again
            assert pixels[text(sample)] == [_decoded(data) for data in sample.images]


def text(sample: Sample) -> str:
    return "|".join(turn.text for turn in sample.turns)


def _decoded(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).convert("RGB").tobytes()


def test_llama_factory_finds_its_description(export):
    folder, _ = export("llama-factory", "self-1")
    about = json.loads((folder / "dataset_info.json").read_text())["vila2"]
    [row] = json.loads((folder / about["file_name"]).read_text())
    tags = about["tags"]
    roles = [turn[tags["role_tag"]] for turn in row[about["columns"]["messages"]]]
    assert roles == [tags["user_tag"], tags["assistant_tag"]]
    assert row[about["columns"]["images"]] == ["images/dog.jpg"]
    assert row["messages"][0]["content"] == "<image>\nDescribe."


def test_swift_gets_places_as_objects(export):
    folder, _ = export("ms-swift", "boxes")
    row = rows(folder, "data.jsonl")["0"]
    assert row["objects"] == {"ref": [], "bbox": [list(BOX), [0.5, 0.25]], "bbox_type": "norm1"}
    assert [turn["content"] for turn in row["messages"]] == [
        "<image>\nWhere is it?",
        "At <bbox>.",
        "Point at it.",
        "<bbox>",
    ]


@pytest.mark.parametrize(
    ("to", "coordinates", "said"),
    [
        ("ms-swift", "unit", "At <bbox>: [[0.000,0.500],[0.500,0.000],[1.000,0.500]]"),
        ("llava", "pixels", "At [10, 10, 40, 30]: [[0, 20],[40, 0],[80, 20]]"),
        ("llava", "tokens", "At <loc_125><loc_250><loc_500><loc_750>: [<loc_000><loc_500>,<loc_500><loc_000>,"
         "<loc_999><loc_500>]"),
    ],
)  # fmt: skip
def test_a_polygon_is_written_as_text(export, to, coordinates, said):
    folder, _ = export(to, "outlines", coordinates=coordinates)
    if to == "ms-swift":
        row = rows(folder, "data.jsonl")["0"]
        assert row["messages"][1]["content"] == said and row["objects"]["bbox"] == [list(BOX)]
    else:
        assert rows(folder)["dog"]["conversations"][1]["value"] == said


def test_a_tree_gives_one_row_for_each_branch(export):
    folder, made = export("llava", view="tree(original,boxes)")
    found = rows(folder)
    assert [turn["value"] for turn in found["dog"]["conversations"]] == [
        "<image>",
        "our dog",
        "Where is it?",
        "At [0.125,0.250,0.500,0.750].",
    ]
    assert [turn["value"] for turn in found["dog:2"]["conversations"]][2:] == [
        "Point at it.",
        "[0.500,0.250]",
    ]
    assert found["dog:2"]["image"] == found["dog"]["image"]
    assert made.rows == made.samples - made.left_out["mark-in-text"] + 1


def test_a_turn_that_does_not_count_says_so_where_the_format_can(export):
    folder, _ = export("ms-swift", view="tree(original,boxes)")
    second = rows(folder, "data.jsonl")["1"]["messages"]
    assert [turn.get("loss", True) for turn in second] == [True, False, True, True]
