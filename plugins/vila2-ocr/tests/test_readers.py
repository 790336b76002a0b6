"""The paper's data sets as they are published, each on a few rows of its own shape."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import picture
from vila2 import ImagePart, Reject, Sample
from vila2.errors import DataError

from vila2_ocr.builder import OcrBuilder, OcrConfig
from vila2_ocr.readers import SOURCES, source_files
from vila2_ocr.readers.cauldron import OWN_SOURCE, SUBSETS

HELD = {"bytes": picture(), "path": "a.png"}


def parquet(file: Path, *rows: dict) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), file)


def lines(file: Path, *rows: dict) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def image(root: Path, name: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(picture())


def built(root: Path, **settings) -> tuple[list[Sample], list[str]]:
    builder = OcrBuilder(OcrConfig(data=root, **settings))
    items = [item for shard in builder.shards() for item in builder.build(shard)]
    samples = [item for item in items if isinstance(item, Sample)]
    assert len({sample.key for sample in samples}) == len(samples)
    return samples, [item.reason for item in items if isinstance(item, Reject)]


def said(sample: Sample) -> list[tuple[str, str]]:
    """Questions and answers."""
    asked = [turn.text for turn in sample.turns if turn.role == "user" and turn.text]
    return list(zip(asked, [turn.text for turn in sample.turns if turn.role == "assistant"], strict=True))


def only(root: Path) -> tuple[Sample, list[str]]:
    samples, rejected = built(root)
    assert len(samples) == 1, rejected
    assert len(samples[0].images) == 1 and samples[0].turns[0].parts[0] == ImagePart()
    return samples[0], rejected


def test_textocr_keeps_the_transcript_and_skips_what_nobody_can_read(tmp_path):
    folder = tmp_path / "textocr-gpt4v"
    image(folder, "train_images/0a.jpg")
    row = {
        "filename": "0a.jpg",
        "caption_image": "A sign.",
        "caption_text": 'It says "STOP".',
        "caption_condensed": "A stop sign.",
    }
    lines(folder / "train.jsonl", row, {**row, "caption_text": "."}, {**row, "filename": "gone.jpg"})
    sample, rejected = only(tmp_path)
    assert [answer for _, answer in said(sample)] == ['It says "STOP".', "A stop sign."]
    assert rejected == ["unreadable-text", "unreadable-file"]


def test_synthdog_holds_json_in_a_string(tmp_path):
    truth = json.dumps({"gt_parse": {"text_sequence": "one two"}})
    rows = [{"image": HELD, "ground_truth": truth}, {"image": HELD, "ground_truth": "{}"}]
    parquet(tmp_path / "synthdog-en" / "data" / "train-0.parquet", *rows)
    sample, rejected = only(tmp_path)
    assert said(sample)[0][1] == "one two"
    assert rejected == ["bad-row"]


def test_ocr_vqa_asks_each_question_on_its_own(tmp_path):
    row = {"image": HELD, "questions": ["Who wrote it?", "Which genre?"], "answers": ["A. B.", "Law"]}
    parquet(tmp_path / "ocr-vqa" / "train.parquet", row, {**row, "answers": ["A. B."]})
    sample, rejected = only(tmp_path)
    assert said(sample) == [("Who wrote it?", "A. B."), ("Which genre?", "Law")]
    assert [turn.branch for turn in sample.turns] == [0, 1, 1, 2, 2]
    assert rejected == ["bad-row"]


@pytest.mark.parametrize("form", ["hub", "own"])
def test_textcaps_in_both_of_its_forms(tmp_path, form):
    folder = tmp_path / "textcaps"
    if form == "hub":
        parquet(folder / "train.parquet", {"image": HELD, "caption_str": ["A red sign.", "A sign: Exit."]})
    else:
        image(folder, "train_images/0f.jpg")
        (folder / "TextCaps_0.1_train.json").write_text(
            json.dumps({"data": [{"image_id": "0f", "caption_str": "A red sign."}]})
        )
    sample, _ = only(tmp_path)
    assert said(sample)[0][1] == "A red sign."
    assert sample.meta["references"][0][0] == "A red sign."


@pytest.mark.parametrize(
    ("label", "options", "answer"),
    [("B", ["A) one", "B) two"], "B"), ("B)", ["one", "two"], "B"), ("B) two", ["A) one", "B) two"], "B"),
     ("two", ["A. one", "B. two"], "B"), ("(a)", ["one", "two"], "A"), ("C", ["one", "two"], None),
     ("perhaps", ["one", "two"], None), ("A", ["B", "A"], "A")],
)  # fmt: skip
def test_arxivqa_labels_come_in_many_forms(tmp_path, label, options, answer):
    folder = tmp_path / "arxivqa"
    image(folder, "images/1.jpg")
    row = {
        "id": "q1",
        "image": "images/1.jpg",
        "options": options,
        "question": "Which?",
        "label": label,
        "rationale": "",
    }
    lines(folder / "arxivqa.jsonl", row)
    samples, rejected = built(tmp_path)
    if answer is None:
        assert rejected == ["bad-label"]
    else:
        [(question, given)] = said(samples[0])
        assert given == answer
        assert question.startswith("Which?\nA) ") and "A) A" not in question


def test_docvqa_keeps_every_answer(tmp_path):
    rows = [
        {"questionId": "1", "image": HELD, "question": "When?", "answers": ["Nov 3", "November 3"]},
        {"questionId": "2", "image": HELD, "question": "Who?", "answers": None},
    ]
    parquet(tmp_path / "docvqa" / "train.parquet", *rows)
    sample, rejected = only(tmp_path)
    assert said(sample) == [("When?", "Nov 3")] and sample.meta["references"] == [["Nov 3", "November 3"]]
    assert rejected == ["bad-row"]


def test_dvqa_rows_of_one_image_share_it(tmp_path):
    folder = tmp_path / "dvqa"
    image(folder, "images/bar_train_0.png")
    rows = [
        {"image": "bar_train_0.png", "question": q, "answer": a}
        for q, a in (("How high?", 7), ("Is it?", "yes"))
    ]
    (folder / "train_qa.json").write_text(json.dumps(rows))
    samples, _ = built(tmp_path)
    assert [said(sample)[0] for sample in samples] == [("How high?", "7"), ("Is it?", "yes")]
    assert samples[0].meta["image"] == samples[1].meta["image"]


def test_ai2d_answers_are_numbers_of_options(tmp_path):
    row = {"image": HELD, "question": "Which?", "options": ["sun", "moon"], "answer": "1"}
    parquet(tmp_path / "ai2d" / "test.parquet", row, {**row, "answer": "2"})
    sample, rejected = only(tmp_path)
    assert said(sample)[0][1] == "B" and "B) moon" in said(sample)[0][0]
    assert rejected == ["bad-label"]


@pytest.mark.parametrize("form", ["hub", "own"])
def test_chartqa_in_both_of_its_forms(tmp_path, form):
    folder = tmp_path / "chartqa"
    if form == "hub":
        parquet(
            folder / "train.parquet",
            {"image": HELD, "query": "How many?", "label": ["14"], "human_or_machine": 0},
        )
    else:
        image(folder, "images/c.png")
        (folder / "train_human.json").write_text(
            json.dumps([{"imgname": "c.png", "query": "How many?", "label": "14"}])
        )
    assert said(only(tmp_path)[0]) == [("How many?", "14")]


@pytest.mark.parametrize("name", ["llava-sft", "llavar"])
def test_conversations_stay_one_after_the_other(tmp_path, name):
    image(tmp_path / name, "coco/1.jpg")
    talk = [("human", "<image>\nWhat is it?"), ("gpt", "A cat."), ("human", "And that?"), ("gpt", "A dog.")]
    row = {
        "id": "1",
        "image": "coco/1.jpg",
        "conversations": [{"from": who, "value": what} for who, what in talk],
    }
    (tmp_path / name / "all.json").write_text(json.dumps([row]))
    sample, _ = only(tmp_path)
    assert said(sample) == [("What is it?", "A cat."), ("And that?", "A dog.")]
    assert {turn.branch for turn in sample.turns} == {0}


def exchange(question: str, answer: str) -> dict:
    return {"user": question, "assistant": answer, "source": "x"}


def test_the_cauldrons_rows_hold_several_images_and_exchanges(tmp_path):
    row = {"images": [HELD, HELD], "texts": [exchange("One?", "1."), exchange("Two?", "2.")]}
    parquet(
        tmp_path / "the_cauldron" / "st_vqa" / "train-0.parquet",
        row,
        {**row, "texts": [exchange("One?", "")]},
    )
    samples, rejected = built(tmp_path)
    assert len(samples) == 1 and len(samples[0].images) == 2
    assert samples[0].turns[0].parts == (ImagePart(0), ImagePart(1))
    assert said(samples[0]) == [("One?", "1."), ("Two?", "2.")]
    assert samples[0].meta["kind"] == "st_vqa"
    assert rejected == ["missing-text"]


def test_what_stands_in_the_cauldron_and_on_its_own_is_read_once(tmp_path):
    row = {"images": [HELD], "texts": [exchange("How many?", "14")]}
    parquet(tmp_path / "the_cauldron" / "chartqa" / "train.parquet", row)
    assert built(tmp_path)[0][0].meta["kind"] == "chartqa"
    parquet(tmp_path / "chartqa" / "train.parquet", {"image": HELD, "query": "How many?", "label": ["14"]})
    samples, rejected = built(tmp_path)
    assert [sample.key.split("/")[0] for sample in samples] == ["chartqa"]
    assert rejected == ["duplicate-source"]


def test_there_are_35_subsets_and_every_source_has_its_reader():
    assert len(SUBSETS) == len(set(SUBSETS)) == 35
    assert set(OWN_SOURCE) <= set(SUBSETS) and set(OWN_SOURCE.values()) <= set(SOURCES)
    assert all(source.licence and source.fields for source in SOURCES.values())


def test_an_unknown_subset_and_data_set_are_errors(tmp_path):
    parquet(tmp_path / "the_cauldron" / "clevr" / "train.parquet", {"images": [HELD], "texts": []})
    with pytest.raises(DataError, match="clevr: none of the 35"):
        source_files(tmp_path)
    with pytest.raises(DataError, match="unknown data set 'textcap'"):
        source_files(tmp_path, "textcap")


def test_a_single_data_set_is_read_where_it_lies(tmp_path):
    parquet(tmp_path / "downloads" / "x.parquet", {"image": HELD, "query": "How many?", "label": ["14"]})
    samples, _ = built(tmp_path / "downloads", dataset="chartqa")
    assert said(samples[0]) == [("How many?", "14")]


def test_a_row_of_another_shape_is_rejected(tmp_path):
    parquet(tmp_path / "chartqa" / "train.parquet", {"image": HELD, "question": "How many?"})
    assert built(tmp_path) == ([], ["bad-row"])


def test_a_users_own_questions_are_taken_as_they_are(tmp_path):
    image(tmp_path, "a.png")
    lines(tmp_path / "mine.jsonl", {"image": "a.png", "question": "What does it say?", "answer": "Stop"})
    samples, _ = built(tmp_path)
    assert said(samples[0]) == [("What does it say?", "Stop")]


def test_a_users_own_text_boxes_are_asked_about(tmp_path):
    image(tmp_path, "a.png")
    row = {
        "image": "a.png",
        "texts": [{"text": "Exit", "quad": [1, 1, 6, 2, 6, 4, 1, 3]}, {"text": ".", "box": [1, 5, 3, 7]}],
    }
    lines(tmp_path / "mine.jsonl", row)
    samples, rejected = built(tmp_path)
    assert {answer for _, answer in said(samples[0])} >= {"Exit"}
    assert rejected == ["unreadable-text"]
