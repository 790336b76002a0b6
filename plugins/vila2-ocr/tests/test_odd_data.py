"""Odd rows, and images in another folder.

An odd row is a reject with its place, and the other rows are built. The readers obey ``image_root``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import picture
from hypothesis import HealthCheck, given, settings, strategies as st
from vila2 import Reject, Sample
from vila2.data.sample import ImagePart, user
from vila2.data.shards import write_dataset
from vila2.errors import DataError

from vila2_ocr.__main__ import main
from vila2_ocr.builder import OcrBuilder, OcrConfig
from vila2_ocr.readers import SOURCES

TEXTS = [{"text": "TOTAL 9.50", "box": [10, 10, 150, 30]}, {"text": "CASH", "box": [10, 40, 90, 60]}]


def lines(file: Path, *rows: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def image(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(picture((200, 100)))


def built(root: Path, **options) -> tuple[list[Sample], list[Reject]]:
    builder = OcrBuilder(OcrConfig(data=root, **options))
    items = [item for shard in builder.shards() for item in builder.build(shard)]
    return [i for i in items if isinstance(i, Sample)], [i for i in items if isinstance(i, Reject)]


def test_image_root_is_heeded_for_rows_of_texts(tmp_path):
    image(tmp_path / "elsewhere" / "a.png")
    rows = lines(tmp_path / "rows.jsonl", {"image": "a.png", "texts": TEXTS})
    assert built(rows)[1][0].reason == "unreadable-file"
    (sample,), _ = built(rows, image_root=tmp_path / "elsewhere")
    assert sample.meta["facts"]
    with pytest.raises(DataError, match="nowhere is not a folder"):
        built(rows, image_root=tmp_path / "nowhere")


def test_image_root_is_heeded_for_the_papers_data_sets(tmp_path):
    row = {"question": "How many?", "answer": "3", "image": "a.png"}
    lines(tmp_path / "data" / "dvqa" / "train.jsonl", row)
    image(tmp_path / "own" / "dvqa" / "a.png")
    image(tmp_path / "flat" / "images" / "a.png")
    for root in ("own", "flat"):
        assert len(built(tmp_path / "data", image_root=tmp_path / root)[0]) == 1
    assert len(built(tmp_path / "data" / "dvqa", dataset="dvqa", image_root=tmp_path / "flat")[0]) == 1
    assert built(tmp_path / "data")[1][0].reason == "unreadable-file"


def test_a_dataset_has_no_use_for_image_root_and_says_so(tmp_path):
    evidence = {"texts": [{"text": "A", "outline": [[0, 0], [1, 0], [1, 1], [0, 1]]}], "all_texts": True}
    odd = {"texts": "A"}
    samples = [
        Sample(f"s{number}", (picture((200, 100)),), (user(ImagePart()),), {"evidence": one})
        for number, one in enumerate((evidence, odd))
    ]
    write_dataset(tmp_path / "data", iter(samples), name="data")
    with pytest.raises(DataError, match="image_root has no effect"):
        built(tmp_path / "data", image_root=tmp_path)
    found, (reject,) = built(tmp_path / "data")
    assert [sample.key for sample in found] == ["s0"]
    assert (reject.key, reject.reason) == ("s1", "bad-evidence") and "evidence.texts" in reject.detail


@pytest.mark.parametrize(
    ("source", "row"),
    [
        ("ocr-vqa", {"questions": 3, "answers": ["a"]}),
        ("docvqa", {"question": "Q?", "answers": 7}),
        ("arxivqa", {"question": "Q?", "options": 5, "label": "A"}),
        ("ai2d", {"question": ["Q?"], "options": ["a", "b"], "answer": {"x": 1}}),
        ("chartqa", {"query": {"q": 1}, "label": ["a"]}),
        ("textcaps", {"caption_str": 3}),
        ("synthdog-en", {"ground_truth": "[1"}),
        ("textocr-gpt4v", {"filename": "a.png", "caption_text": ["x"]}),
    ],
)
def test_a_row_of_another_form_is_refused_and_the_next_is_read(tmp_path, source, row):
    image(tmp_path / source / "a.png")
    place = {name: "a.png" for name in SOURCES[source].image[:1]}
    good = {
        "ocr-vqa": {"questions": ["Q?"], "answers": ["a"]},
        "docvqa": {"question": "Q?", "answers": ["a"]},
        "arxivqa": {"question": "Q?", "options": ["A) a", "B) b"], "label": "A"},
        "ai2d": {"question": "Q?", "options": ["a", "b"], "answer": "1"},
        "chartqa": {"query": "Q?", "label": ["a"]},
        "textcaps": {"caption_str": ["A sign."]},
        "synthdog-en": {"ground_truth": json.dumps({"gt_parse": {"text_sequence": "abc"}})},
        "textocr-gpt4v": {"caption_text": "STOP"},
    }[source]
    lines(tmp_path / source / "train.jsonl", place | row, place | good)
    found, (reject,) = built(tmp_path)
    assert len(found) == 1
    assert reject.where.endswith("train.jsonl:1") and reject.reason and len(reject.detail) < 300


def test_the_command_shows_examples_of_what_was_refused(tmp_path, capsys):
    image(tmp_path / "a.png")
    rows = lines(
        tmp_path / "rows.jsonl", {"image": "a.png", "texts": TEXTS}, {"image": "gone.png", "texts": TEXTS}
    )
    assert main([str(rows)]) == 0
    assert "for example" in (said := capsys.readouterr().out) and "rows.jsonl:2" in said
    for argument in ("qestions=3", "questions=x", "questions"):
        assert main([str(rows), argument]) == 1
        assert "hint:" in capsys.readouterr().err


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 50) | st.floats() | st.text(max_size=3) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=8,
)


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_row_of_the_papers_data_sets_gives_a_sample_or_a_reject(tmp_path, data):
    source = data.draw(st.sampled_from([name for name in SOURCES if name != "the_cauldron"]))
    row = {name: data.draw(_ANY) for name in SOURCES[source].fields}
    row[SOURCES[source].image[0]] = data.draw(st.sampled_from(["a.png", None, 3, "x" * 300, "\0"]))
    folder = tmp_path / source
    image(folder / "a.png")
    lines(folder / "train.jsonl", row, {})
    found, refused = built(folder, dataset=source)
    assert refused[-1].where.endswith("train.jsonl:2") and len(found) + len(refused) >= 2
    assert all(one.where and one.reason for one in refused)
